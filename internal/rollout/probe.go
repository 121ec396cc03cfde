package rollout

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// ErrNotAsked is the error of a request that could not be sent, for reasons that are
// not the revision's: it counts as none.
var ErrNotAsked = errors.New("not asked")

// Prober is a Source that sends requests itself, where nobody else counts any: a few
// to each revision at every reading. It is a poor substitute for real requests, and
// the only one where a cluster measures nothing.
type Prober struct {
	Revisions []string
	Each      int // requests to each revision at a reading
	// Ask sends one and returns the status of the answer; an error is a failure.
	Ask func(ctx context.Context, revision string) (status int, err error)
	Now func() time.Time

	mu     sync.Mutex
	totals map[string]*Totals
}

var _ Source = (*Prober)(nil)

// Name implements Source.
func (*Prober) Name() string { return "this command's own requests" }

// Read implements Source.
func (p *Prober) Read(ctx context.Context) ([]Point, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.totals == nil {
		p.totals = make(map[string]*Totals)
	}
	for range p.Each {
		for _, revision := range p.Revisions {
			begin := p.Now()
			status, err := p.Ask(ctx, revision)
			if ctx.Err() != nil {
				return nil, ctx.Err() // nothing can be said about it
			}
			if errors.Is(err, ErrNotAsked) {
				continue
			}
			p.count(revision, p.Now().Sub(begin), err == nil && status < 500)
		}
	}
	return p.points(), nil
}

// probeBounds are the upper bounds of the buckets in seconds: each is a tenth above
// the one before, from half a millisecond on.
func probeBounds() []float64 {
	var out []float64
	for bound := 0.0005; bound < 120; bound *= 1.1 {
		out = append(out, bound)
	}
	return append(out, math.Inf(1))
}

func (p *Prober) count(revision string, took time.Duration, good bool) {
	t := p.totals[revision]
	if t == nil {
		t = &Totals{Buckets: make(map[float64]float64)}
		p.totals[revision] = t
	}
	if good {
		t.Served++
	} else {
		t.Failed++
	}
	for _, bound := range probeBounds() {
		if took.Seconds() <= bound {
			t.Buckets[bound]++
		}
	}
}

func (p *Prober) points() []Point {
	var out []Point
	for revision, t := range p.totals {
		out = append(
			out,
			Point{Series: revision + " served", Revision: revision, Quantity: Served, Value: t.Served},
			Point{Series: revision + " failed", Revision: revision, Quantity: Failed, Value: t.Failed},
		)
		for bound, n := range t.Buckets {
			out = append(out, Point{Series: revision + " " + time.Duration(min(bound, 1e6)*1e9).String(), Revision: revision, Quantity: Bucket, Bound: bound, Value: n})
		}
	}
	return out
}
