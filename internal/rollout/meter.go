package rollout

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"
)

// Source says how revisions have served so far.
type Source interface {
	// Name says in a few words what it reads, for people.
	Name() string
	// Read returns the counters that there are now. A revision that has none has
	// served nothing yet; an error means that nothing is known.
	Read(ctx context.Context) ([]Point, error)
}

// Quantity is what a counter counts.
type Quantity int

// Each request is counted as one of the first two, and in every bucket whose bound
// is not below the time that it took.
const (
	Served Quantity = iota // answered with a status below 500
	Failed                 // answered with a status of 500 and above
	Bucket                 // took no longer than Bound
)

// Point is a counter at one moment.
type Point struct {
	Series   string // whose value this is: the same from one reading to the next
	Revision string
	Quantity Quantity
	Bound    float64 // of a Bucket, in seconds; +Inf for the last
	Value    float64
}

// Totals are what has been counted of one revision.
type Totals struct {
	Served, Failed float64
	Buckets        map[float64]float64 // requests by upper bound in seconds, cumulative
}

// Requests is how many were answered.
func (t Totals) Requests() float64 { return t.Served + t.Failed }

// ErrorRate is the share of requests that failed, 0 for none.
func (t Totals) ErrorRate() float64 {
	if t.Requests() == 0 {
		return 0
	}
	return t.Failed / t.Requests()
}

// Timed is how many requests the buckets know of.
func (t Totals) Timed() float64 { return t.Buckets[math.Inf(1)] }

// Minus returns what has been counted since an earlier total.
func (t Totals) Minus(earlier Totals) Totals {
	out := Totals{Served: t.Served - earlier.Served, Failed: t.Failed - earlier.Failed}
	return out.withBuckets(t, earlier)
}

// withBuckets returns t with the times counted between two totals.
func (t Totals) withBuckets(later, earlier Totals) Totals {
	t.Buckets = make(map[float64]float64, len(later.Buckets))
	for bound, n := range later.Buckets {
		t.Buckets[bound] = n - earlier.Buckets[bound]
	}
	return t
}

// Quantile estimates the time within which a share q of the requests were answered:
// as Prometheus does, by a straight line within the bucket that it falls into. False
// when no times are known.
func (t Totals) Quantile(q float64) (time.Duration, bool) {
	total := t.Timed()
	if total <= 0 {
		return 0, false
	}
	rank := q * total
	below, under := 0.0, 0.0
	for _, bound := range slices.Sorted(maps.Keys(t.Buckets)) {
		n := t.Buckets[bound]
		if n < rank {
			below, under = bound, n
			continue
		}
		if math.IsInf(bound, 1) || n == under {
			return seconds(below), true // longer than the last bound: that is all that is known
		}
		return seconds(below + (bound-below)*(rank-under)/(n-under)), true
	}
	return seconds(below), true
}

// ShareAbove estimates the share of requests that took longer than a limit in seconds, by
// a straight line within the bucket that it falls into. It is 0 when no times are known,
// and when the limit is beyond the last bound: which of those above that took longer is
// not known.
func (t Totals) ShareAbove(limit float64) float64 {
	total := t.Timed()
	below, under := 0.0, 0.0
	for _, bound := range slices.Sorted(maps.Keys(t.Buckets)) {
		n := t.Buckets[bound]
		switch {
		case total <= 0 || math.IsInf(bound, 1):
			return 0
		case bound >= limit:
			return 1 - (under+(n-under)*(limit-below)/(bound-below))/total
		}
		below, under = bound, n
	}
	return 0
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Meter adds up what counters have grown by since it was made. Counters that begin
// again at 0 (a process that was restarted), that go (a pod that was removed) and
// that come later lose nothing that was counted.
type Meter struct {
	last   map[string]float64
	totals map[string]Totals
}

// Add takes in a reading.
func (m *Meter) Add(points []Point) {
	first := m.last == nil
	if first {
		m.last, m.totals = make(map[string]float64, len(points)), make(map[string]Totals)
	}
	for _, p := range points {
		before, seen := m.last[p.Series]
		m.last[p.Series] = p.Value
		switch {
		case first:
			continue // from before the meter was made
		case seen && p.Value >= before:
			m.grow(p, p.Value-before)
		default: // a counter that is new, or that has begun again
			m.grow(p, p.Value)
		}
	}
}

func (m *Meter) grow(p Point, by float64) {
	t := m.totals[p.Revision]
	switch p.Quantity {
	case Served:
		t.Served += by
	case Failed:
		t.Failed += by
	case Bucket:
		if t.Buckets == nil {
			t.Buckets = make(map[float64]float64)
		}
		t.Buckets[p.Bound] += by
	}
	m.totals[p.Revision] = t
}

// Started reports whether there was a reading.
func (m *Meter) Started() bool { return m.last != nil }

// Totals returns what has been counted of a revision since the first reading.
func (m *Meter) Totals(revision string) Totals {
	t := m.totals[revision]
	t.Buckets = maps.Clone(t.Buckets)
	return t
}

// restarts adds up how often containers were started again since the first reading.
// Those of pods that are gone still count.
type restarts struct {
	last  map[string]int
	total int
}

func (r *restarts) add(counts map[string]int) {
	first := r.last == nil
	if first {
		r.last = make(map[string]int, len(counts))
	}
	for container, n := range counts {
		if !first {
			r.total += max(0, n-r.last[container])
		}
		r.last[container] = cmp.Or(n, r.last[container])
	}
}
