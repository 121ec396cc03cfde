package parallel

import (
	"context"
	"errors"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestPanicIsAnError(t *testing.T) {
	group, ctx := WithContext(context.Background())
	group.SetLimit(2)
	group.Go(func() error {
		<-ctx.Done()
		return ctx.Err()
	})
	group.Go(func() error { panic("boom") })
	err := group.Wait()
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.Op != fault.Panic || e.Error() != "kn-lite has a mistake: boom" {
		t.Errorf("err = %v", err)
	}
}

// A panic where nobody waits for an error ends the context of those who wait, and
// one that is raised again says where it was at first.
func TestPanicMoves(t *testing.T) {
	ctx, stop := context.WithCancelCause(context.Background())
	Watched(stop, func() {})()
	if ctx.Err() != nil {
		t.Error("nothing has gone wrong")
	}
	go Watched(stop, func() { panic("boom") })()
	<-ctx.Done()
	again := Guard(func() error {
		fault.Again(context.Cause(ctx))
		return nil
	})()
	if again == nil || again.Error() != "kn-lite has a mistake: boom" {
		t.Errorf("err = %v", again)
	}
}
