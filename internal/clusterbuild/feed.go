package clusterbuild

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// feed sends the order and the context, and from then on a sign of life now and
// then, until ctx is done. A connection that breaks while the context is sent is
// the end; one that breaks later is made again.
func (r *run) feed(ctx context.Context, pod string) error {
	var total int64
	for _, f := range r.Files {
		total += f.Size
	}
	add, end := r.report.Send(total)
	var sent atomic.Bool
	err := r.attach(ctx, pod, func(w io.Writer) error {
		err := writeOrder(ctx, w, &r.Order, r.Files, add)
		end(err == nil)
		if err != nil {
			return err
		}
		sent.Store(true)
		return signs(ctx, w)
	})
	for sent.Load() && ctx.Err() == nil {
		pause(ctx, time.Second)
		err = r.attach(ctx, pod, func(w io.Writer) error { return signs(ctx, w) })
		if err != nil && fault.KindOf(err) != fault.Transient {
			// It says that the pod does not run any more, which the watch will see.
			pause(ctx, beat)
		}
	}
	return err
}

// attach connects what write writes to the pod's input.
func (r *run) attach(ctx context.Context, pod string, write func(io.Writer) error) error {
	reader, writer := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		err := write(writer)
		wrote <- errors.Join(err, writer.CloseWithError(err))
	}()
	err := r.cluster.AttachInput(ctx, pod, container, reader)
	// The writer is stopped, in case that nobody reads any more, and waited for.
	_ = reader.CloseWithError(io.ErrClosedPipe)
	writeErr := <-wrote
	// A file that could not be read is the cause of whatever else went wrong.
	if writeErr != nil && !errors.Is(writeErr, io.ErrClosedPipe) && ctx.Err() == nil {
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
