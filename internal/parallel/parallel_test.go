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
