package local

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// quietTime is how long nothing changes before memory goes back to the machine.
const quietTime = 3 * time.Second

// giveBack calls free whenever changes were followed by a quiet time, until ctx ends. A
// deploy leaves three times the memory that the platform needs at rest, of which the
// Go runtime would give most back only after minutes. At rest it does nothing.
func giveBack(ctx context.Context, s *store.Store, free func()) error {
	for ctx.Err() == nil {
		// Whatever has changed, and if it is more than a watch can say: a change it is.
		watch := s.Watch(s.Version())
		quiet, cancel := context.WithTimeout(ctx, quietTime)
		_, err := watch.Next(quiet)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			free()
			_, _ = watch.Next(ctx)
		}
	}
	return ctx.Err()
}

// freeMemory returns what nothing uses. What lies in pools outlives one collection.
func freeMemory() {
	debug.FreeOSMemory()
	debug.FreeOSMemory()
}
