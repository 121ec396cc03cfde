package runtime

import (
	"context"
	"sync"

	"github.com/kn-lite/kn-lite/internal/parallel"
)

// flights are things under way that several may wait for: who asks for one that
// has begun shares its end. It goes on while anybody waits.
type flights struct {
	mutex sync.Mutex
	going map[string]*flight
}

type flight struct {
	waiting int
	done    chan struct{}
	cancel  context.CancelFunc
	value   any
	err     error
}

// do runs f for name, or waits for the one that runs. f's context is life's.
func (s *flights) do(ctx, life context.Context, name string, f func(context.Context) (any, error)) (any, error) {
	s.mutex.Lock()
	one := s.going[name]
	if one == nil {
		if s.going == nil {
			s.going = map[string]*flight{}
		}
		flying, cancel := context.WithCancel(life)
		one = &flight{done: make(chan struct{}), cancel: cancel}
		s.going[name] = one
		go func() {
			one.err = parallel.Guard(func() (err error) {
				one.value, err = f(flying)
				return err
			})()
			s.forget(name, one)
			cancel()
			close(one.done)
		}()
	}
	one.waiting++
	s.mutex.Unlock()
	select {
	case <-one.done:
		return one.value, one.err
	case <-ctx.Done():
	}
	s.mutex.Lock()
	one.waiting--
	last := one.waiting == 0
	if last && s.going[name] == one {
		delete(s.going, name) // who comes next begins anew
	}
	s.mutex.Unlock()
	if last {
		one.cancel()
	}
	return nil, ctx.Err()
}

func (s *flights) forget(name string, one *flight) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.going[name] == one {
		delete(s.going, name)
	}
}
