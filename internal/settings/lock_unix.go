//go:build unix

package settings

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// lockEvery is how often a lock that somebody has is tried again.
const lockEvery = 10 * time.Millisecond

// lock locks a folder for whoever changes files in it. The system unlocks it when the
// process ends, however it ends.
func lock(ctx context.Context, dir string) (unlock func() error, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f.Close, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-tick.C:
		}
	}
}
