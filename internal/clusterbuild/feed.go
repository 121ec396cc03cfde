package clusterbuild

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// feed sends the order and the context, and from then on a sign of life now and
// then, until ctx is done. A connection that breaks while the context is sent is
// the end; one that breaks later is made again.
//
// Nothing is sent before the pod has said that it listens: another program would
// get the secrets of the build.
func (r *run) feed(ctx context.Context, pod string) error {
	timer := time.NewTimer(r.Greeting)
	defer timer.Stop()
	select {
	case <-r.story.ready:
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fault.New(fault.Conflict, "clusterbuild.run", r.Image, "the build pod runs and does not listen for a build: this is no image of kn-lite").
			WithHint("leave away --builder-image, or name an image of this release")
	}
	var total int64
	for _, f := range r.Files {
		total += f.Size
	}
	add, end := r.report.Send(total)
	// What is written is on its way for a while: the pod knows when it is there. Of
	// a short build the log, which says so, comes after the end.
	r.arrived.Go(func() {
		select {
		case <-r.story.taken:
		case <-r.told:
		}
		end(r.story.hasAll())
	})
	err := r.attach(ctx, pod, func(ctx context.Context, w io.Writer) error {
		if err := writeOrder(ctx, w, &r.Order, r.Files, add); err != nil {
			return err
		}
		return signs(ctx, w)
	})
	if fault.KindOf(err) != fault.Transient {
		return err
	}
	// The log, which says that all has arrived, may be a moment behind.
	late := time.NewTimer(r.patience)
	defer late.Stop()
	select {
	case <-r.story.taken:
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return err
	}
	for ctx.Err() == nil {
		pause(ctx, min(r.patience, time.Second))
		if err = r.attach(ctx, pod, signs); fault.KindOf(err) != fault.Transient {
			// Probably the pod does not run any more, which the watch will see.
			pause(ctx, beat)
		}
	}
	return ctx.Err()
}

// attach connects what write writes to the pod's input.
func (r *run) attach(ctx context.Context, pod string, write func(context.Context, io.Writer) error) error {
	connected, disconnect := context.WithCancel(ctx)
	defer disconnect()
	reader, writer := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		err := parallel.Guard(func() error { return write(connected, writer) })()
		wrote <- errors.Join(err, writer.CloseWithError(err))
	}()
	err := r.cluster.AttachInput(ctx, pod, container, reader)
	disconnect()
	// The writer is stopped, in case that nobody reads any more, and waited for.
	_ = reader.CloseWithError(io.ErrClosedPipe)
	writeErr := <-wrote
	// A file that could not be read is the cause of whatever else went wrong.
	if writeErr != nil && !errors.Is(writeErr, io.ErrClosedPipe) && !errors.Is(writeErr, context.Canceled) && ctx.Err() == nil {
		return writeErr
	}
	return err
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
