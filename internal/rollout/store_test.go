package rollout

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// store is a traffic.Store of one service that insists, as an API server does, on the
// version a write was computed from. Its route takes up at once what is written.
type store struct {
	mu      sync.Mutex
	changed chan struct{}
	snap    traffic.Snapshot
	revs    []traffic.Revision
	splits  []traffic.Split       // each that was written, in order
	before  func(*store)          // runs ahead of each write and may change the service
	away    func(op string) error // an error instead of an answer
	lost    func() error          // an error instead of the answer to a write that is made
	stuck   bool                  // the route takes nothing up
}

var _ traffic.Store = (*store)(nil)

func newStore(split traffic.Split) *store {
	s := &store{changed: make(chan struct{})}
	for i, name := range []string{"fn-v1", "fn-v2", "fn-v3"} {
		s.revs = append(s.revs, traffic.Revision{Name: name, Generation: int64(i + 1), State: traffic.Ready})
	}
	s.snap = traffic.Snapshot{
		Name: "fn", Version: "1", Generation: 1, ObservedGeneration: 1, Routed: traffic.Ready,
		Spec: split, Observed: observed(split, "fn-v3"), LatestReady: "fn-v3", LatestCreated: "fn-v3",
	}
	return s
}

func observed(split traffic.Split, latest string) traffic.Split {
	out := make(traffic.Split, len(split))
	for i, t := range split.Normal() {
		out[i] = t
		out[i].Revision = t.Pin(latest)
	}
	return out
}

func (s *store) fails(op string) error {
	if s.away == nil {
		return nil
	}
	return s.away(op)
}

func (s *store) Snapshot(context.Context, string) (*traffic.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.snap
	return &out, s.fails("snapshot")
}

func (s *store) Revisions(context.Context, string) ([]traffic.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revs, s.fails("revisions")
}

func (s *store) Update(_ context.Context, snap *traffic.Snapshot, change traffic.Change) (*traffic.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fails("update"); err != nil {
		return nil, err
	}
	if s.before != nil {
		s.before(s)
	}
	if snap.Version != s.snap.Version {
		return nil, fault.New(fault.Conflict, "test", "service/fn", "version %s is not %s", snap.Version, s.snap.Version)
	}
	s.write(change)
	if s.lost != nil {
		if err := s.lost(); err != nil {
			return nil, err
		}
	}
	out := s.snap
	return &out, nil
}

// write changes the service; the lock is held.
func (s *store) write(change traffic.Change) {
	if change.Split != nil {
		s.snap.Spec = change.Split
		s.snap.Generation++
		s.splits = append(s.splits, change.Split)
		if !s.stuck {
			s.snap.ObservedGeneration, s.snap.Observed = s.snap.Generation, observed(change.Split, s.snap.LatestReady)
		}
	}
	s.snap.Annotations = change.ApplyTo(s.snap.Annotations)
	version, _ := strconv.Atoi(s.snap.Version)
	s.snap.Version = strconv.Itoa(version + 1)
	close(s.changed)
	s.changed = make(chan struct{})
}

// meddle changes the service as somebody else does.
func (s *store) meddle(change func(*traffic.Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.snap)
	s.snap.Generation++
	s.snap.ObservedGeneration, s.snap.Observed = s.snap.Generation, observed(s.snap.Spec, s.snap.LatestReady)
	s.write(traffic.Change{})
}

func (s *store) WatchService(ctx context.Context, _ string, visit func(*traffic.Snapshot) (bool, error)) error {
	for {
		s.mu.Lock()
		now, changed := s.snap, s.changed
		s.mu.Unlock()
		if done, err := visit(&now); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (s *store) Unreachable() error { return nil }

// behaviour is how a revision serves, by its name, at every reading.
type behaviour struct {
	rate   float64 // requests a second, of the whole service
	errors float64 // share of them that fail
	took   time.Duration
}

// requests is a Source whose revisions answer requests by the shares that they have.
type requests struct {
	store     *store
	behaviour func(revision string) behaviour
	last      time.Time
	totals    map[string]*Totals
	fails     error
}

var _ Source = (*requests)(nil)

func (r *requests) Name() string { return "the test's requests" }

func (r *requests) Read(context.Context) ([]Point, error) {
	if r.fails != nil {
		return nil, r.fails
	}
	snap, err := r.store.Snapshot(context.Background(), "fn")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	passed := now.Sub(r.last).Seconds()
	if r.last.IsZero() {
		passed, r.totals = 0, map[string]*Totals{}
	}
	r.last = now
	var out []Point
	for _, rev := range r.store.revs {
		b := r.behaviour(rev.Name)
		n := passed * b.rate * float64(snap.Spec.Normal().Percent(rev.Name, snap.LatestReady)) / 100
		t := r.totals[rev.Name]
		if t == nil {
			t = &Totals{}
			r.totals[rev.Name] = t
		}
		t.Served, t.Failed = t.Served+n*(1-b.errors), t.Failed+n*b.errors
		out = append(
			out,
			Point{Series: rev.Name + " served", Revision: rev.Name, Value: t.Served},
			Point{Series: rev.Name + " failed", Revision: rev.Name, Value: t.Failed, Quantity: Failed},
		)
		for _, bound := range []float64{0.001, 0.01, 0.1, 0.5, math.Inf(1)} {
			value := 0.0
			if b.took.Seconds() <= bound {
				value = t.Requests()
			}
			out = append(out, Point{Series: rev.Name + " " + strconv.FormatFloat(bound, 'g', -1, 64), Revision: rev.Name, Value: value, Quantity: Bucket, Bound: bound})
		}
	}
	return out, nil
}
