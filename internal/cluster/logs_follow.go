package cluster

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// follower reads many logs at once, with one reader for each container of each
// pod: what the reader knows of the place in the log outlives a restart, so that
// no line comes twice.
type follower struct {
	client *Client
	o      LogOptions
	ctx    context.Context // of all readers; cancelled by the first error of emit
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	emitting sync.Mutex // one line at a time
	emit     func(LogLine) error

	mu      sync.Mutex
	streams map[streamKey]stream // as the watch last showed them
	changed chan struct{}        // closed at the next change of streams
}

func (c *Client) followLogs(ctx context.Context, o LogOptions, emit func(LogLine) error) (int, error) {
	f := &follower{client: c, o: o, emit: emit, changed: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	defer c.reach.enter(ctx)()
	f.wg.Go(parallel.Watched(f.cancel, f.giveUp))
	readers, first := make(map[streamKey]bool), true
	err := c.WatchPods(f.ctx, o.Selector(), func(pods []*corev1.Pod) error {
		for _, s := range f.update(pods) {
			if readers[s.key] {
				continue
			}
			readers[s.key] = true
			s.fromStart = !first
			f.wg.Go(parallel.Watched(f.cancel, func() { f.read(s) }))
		}
		first = false
		return nil
	})
	if cause := context.Cause(f.ctx); cause != nil && ctx.Err() == nil {
		err = cause
	}
	f.cancel(err)
	f.wg.Wait()
	if away := c.Unreachable(); away != nil && errors.Is(err, context.DeadlineExceeded) {
		err = &fault.Error{Op: "cluster.logs", Kind: fault.Timeout, Err: away, Hint: fault.HintOf(away)}
	}
	return len(readers), err
}

// giveUpAfter is how long an API server may be away, by default: as long as one
// takes that is upgraded or comes back on another machine.
const giveUpAfter = 2 * time.Minute

// giveUp ends it all when the API server has not answered for too long.
func (f *follower) giveUp() {
	limit := cmp.Or(f.o.GiveUpAfter, giveUpAfter)
	tick := time.NewTicker(min(time.Second, limit))
	defer tick.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
		}
		if away := f.client.Unreachable(); away != nil && f.client.reach.Down() >= limit {
			f.cancel(away)
			return
		}
	}
}

// update takes in what the watch shows, wakes the readers and returns the streams.
func (f *follower) update(pods []*corev1.Pod) map[streamKey]stream {
	now := make(map[streamKey]stream)
	for _, pod := range pods {
		for _, s := range streamsOf(pod, f.o) {
			now[s.key] = s
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.streams = now
	close(f.changed)
	f.changed = make(chan struct{})
	return now
}

// now returns a stream as the watch last showed it, and whether it is still there.
func (f *follower) now(key streamKey) (s stream, exists bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, exists = f.streams[key]
	return s, exists, f.changed
}

// read follows one container until its pod is gone, over restarts and cut
// connections.
func (f *follower) read(s stream) {
	o := f.o
	if s.fromStart {
		o.Since, o.Tail = 0, -1
	}
	var last time.Time
	again := newPause(rewatchAfter, rewatchAtMost)
	for f.ctx.Err() == nil {
		before, _, _ := f.now(s.key)
		once, cancel := f.client.reach.attempt(f.ctx, 0)
		err := f.client.readLogFrom(once, s, o, &last, f.hand)
		cancel()
		switch {
		case err != nil && fault.KindOf(err) != fault.Transient && fault.KindOf(err) != fault.Failure:
			return
		case err == nil && !before.running:
			// This run had ended before the read began, so all of it has been read.
			if !f.waitForRestart(before) {
				return
			}
			o.Since, o.Tail = 0, -1
			again = newPause(rewatchAfter, rewatchAtMost)
			continue
		}
		if _, exists, _ := f.now(s.key); !exists || again.Wait(f.ctx) != nil {
			return
		}
	}
}

// waitForRestart blocks until the container runs again, and reports false when
// its pod is gone or nobody listens any more.
func (f *follower) waitForRestart(before stream) bool {
	for {
		s, exists, changed := f.now(before.key)
		switch {
		case !exists:
			return false
		case s.restarts != before.restarts || s.running:
			return true
		}
		select {
		case <-changed:
		case <-f.ctx.Done():
			return false
		}
	}
}

// hand passes a line on, unless another reader's line was the last one wanted.
func (f *follower) hand(line LogLine) error {
	f.emitting.Lock()
	defer f.emitting.Unlock()
	if f.ctx.Err() != nil {
		return f.ctx.Err()
	}
	if err := f.emit(line); err != nil {
		f.cancel(err)
		return err
	}
	return nil
}
