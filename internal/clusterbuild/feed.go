package clusterbuild

import (
	"context"
	"io"
	"time"

	"github.com/kn-lite/kn-lite/internal/backoff"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// Feed sends the order and the context, and from then on a sign of life now and
// then, until ctx is done. A connection that breaks while the context is sent is
// the end; one that breaks later is made again.
//
// Nothing is sent before the pod has said that it listens: another program would
// get the secrets of the build.
func (p *ownProgram) Feed(ctx context.Context, attach Attach) error {
	timer := time.NewTimer(p.Greeting)
	defer timer.Stop()
	select {
	case <-p.podLog.ready:
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fault.New(fault.Conflict, "clusterbuild.run", p.Image, "the build pod runs and does not listen for a build: this is no image of kn-lite").
			WithHint("omit {Pod.Image}, or name an image of this release")
	}
	total := ContextSize(p.Files)
	size := "the context (" + progress.Bytes(total) + ")"
	task := p.report.Start("sending "+size, total)
	// What is written is on its way for a while: the pod knows when it is there. Of
	// a short build the log, which says so, comes after the end.
	p.arrived.Go(func() {
		select {
		case <-p.podLog.taken:
		case <-p.told:
		}
		if p.podLog.hasAll() {
			task.Done("sent " + size)
		} else {
			task.Fail()
		}
	})
	err := attach(ctx, func(ctx context.Context, w io.Writer) error {
		if err := writeOrder(ctx, w, &p.Order, p.Files, task.Add); err != nil {
			return err
		}
		return signs(ctx, w)
	})
	if fault.KindOf(err) != fault.Transient {
		return err
	}
	// The log, which says that all has arrived, may be a moment behind.
	late := time.NewTimer(p.patience)
	defer late.Stop()
	select {
	case <-p.podLog.taken:
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return err
	}
	for ctx.Err() == nil {
		_ = backoff.Sleep(ctx, min(p.patience, time.Second))
		if err = attach(ctx, signs); fault.KindOf(err) != fault.Transient {
			// Probably the pod does not run any more, which the watch will see.
			_ = backoff.Sleep(ctx, beat)
		}
	}
	return ctx.Err()
}

// signs writes signs of life until ctx is done.
func signs(ctx context.Context, w io.Writer) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		if _, err := w.Write([]byte{0}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
