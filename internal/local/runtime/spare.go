package runtime

import (
	"context"
	"errors"
	"sync"
	"time"
)

// spareDelay is how long a pod has the machine for itself before the next spare is made.
const spareDelay = 100 * time.Millisecond

// spares makes a pod before it is asked for: making its processes is most of what a
// request to a service at zero waits for.
type spares struct {
	r       *Runtime
	mutex   sync.Mutex
	ready   *connected
	making  bool
	closed  bool
	working sync.WaitGroup
}

// take returns a pod of that host name.
func (s *spares) take(ctx context.Context, hostname string) (*connected, error) {
	s.mutex.Lock()
	spare := s.ready
	s.ready = nil
	s.mutex.Unlock()
	defer s.make(spareDelay)
	if spare != nil {
		if err := spare.Rename(ctx, hostname); err == nil {
			return spare, nil
		}
		_ = spare.Close() // somebody has killed it
	}
	return s.r.connectedPod(ctx, hostname)
}

func (r *Runtime) connectedPod(ctx context.Context, hostname string) (*connected, error) {
	p, err := r.box.Pod(ctx, hostname)
	if err != nil {
		return nil, err
	}
	c, err := r.connect(ctx, p)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return c, nil
}

// make makes the next spare after a while, unless there is one.
func (s *spares) make(after time.Duration) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.making || s.closed || s.ready != nil {
		return
	}
	s.making = true
	s.working.Go(func() {
		timer := time.NewTimer(after)
		defer timer.Stop()
		var spare *connected
		select {
		case <-timer.C:
			spare = s.prepared()
		case <-s.r.life.Done():
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.making = false
		s.ready = spare
	})
}

// prepared is a new pod; where it cannot be made, the next Sandbox says why.
func (s *spares) prepared() *connected {
	spare, err := s.r.connectedPod(s.r.life, "pod")
	if err != nil {
		return nil
	}
	_ = spare.Prepare(s.r.life) // without, Start is slower
	return spare
}

// close ends the spare. The runtime's life is over.
func (s *spares) close() error {
	s.mutex.Lock()
	s.closed = true
	s.mutex.Unlock()
	s.working.Wait()
	if s.ready == nil {
		return nil
	}
	return s.ready.Close()
}
