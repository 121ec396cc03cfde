package dockerfile

import (
	"context"
	"slices"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/kn-lite/kn-lite/internal/parallel"
)

// scheduler runs stages at the same time, and so many steps of them at once. The
// first failure ends all.
type scheduler struct {
	slots  chan struct{}
	group  sync.WaitGroup
	cancel context.CancelCauseFunc
}

// newScheduler allows as many steps at once as there are processors, and two on a
// machine with one: a step often waits for the network.
func newScheduler(processors int) *scheduler {
	return &scheduler{slots: make(chan struct{}, max(processors, 2))}
}

// run runs main and what it starts, and returns the first error.
func (p *scheduler) run(ctx context.Context, main func(context.Context) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	p.cancel = cancel // by close: what was started to be uploaded goes on
	err := main(inner)
	if err != nil {
		cancel(err)
	}
	p.group.Wait()
	if cause := context.Cause(inner); err != nil && ctx.Err() == nil && cause != nil {
		return cause // the others were cancelled for it
	}
	return err
}

// close ends what run and its callees have left.
func (p *scheduler) close() {
	if p.cancel != nil {
		p.cancel(nil)
	}
}

// start runs work beside whoever calls.
func (p *scheduler) start(ctx context.Context, work func(context.Context) error) {
	p.group.Go(func() {
		if err := parallel.Guard(func() error { return work(ctx) })(); err != nil {
			p.cancel(err)
		}
	})
}

// enter waits until one more step may run.
func (p *scheduler) enter(ctx context.Context) (release func(), err error) {
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lockCaches waits for the cache mounts that are for one RUN at a time, in an
// order that nobody can block.
func (b *builder) lockCaches(mounts []*instructions.Mount) (release func()) {
	var ids []string
	for _, m := range mounts {
		if m.Type == instructions.MountTypeCache && (m.CacheSharing == instructions.MountSharingLocked || m.CacheSharing == instructions.MountSharingPrivate) {
			ids = append(ids, m.CacheID+"\x00"+m.Target)
		}
	}
	slices.Sort(ids)
	var held []*sync.Mutex
	for _, id := range slices.Compact(ids) {
		lock, _ := b.caches.LoadOrStore(id, &sync.Mutex{})
		if lock, ok := lock.(*sync.Mutex); ok {
			lock.Lock()
			held = append(held, lock)
		}
	}
	return func() {
		for _, lock := range held {
			lock.Unlock()
		}
	}
}
