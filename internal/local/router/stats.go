package router

import (
	"net/http"
	"time"
)

// Stats are the requests to one revision since the start.
type Stats struct {
	Total    uint64
	Failed   uint64 // answered with 5xx
	InFlight int    // under way or waiting
	// Median and P95 are estimates from a histogram.
	Median, P95 time.Duration
}

// Stats returns what a revision has had; nothing for one that is not known.
func (r *Router) Stats(namespace, name string) Stats {
	r.mu.Lock()
	v := r.revisions[key{namespace, name}]
	r.mu.Unlock()
	if v == nil {
		return Stats{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	out := Stats{InFlight: v.load.now}
	var all histogram
	for o, h := range v.figures.by {
		if o.status >= http.StatusInternalServerError {
			out.Failed += h.count
		}
		all.merge(h)
	}
	out.Total, out.Median, out.P95 = all.count, all.quantile(0.5), all.quantile(0.95)
	return out
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
	h.count += other.count
	h.sum += other.sum
}

// quantile is where q of the values lie below, taken as even within a bucket.
func (h *histogram) quantile(q float64) time.Duration {
	rank, below := q*float64(h.count), 0.0
	for i, low := range append([]float64{0}, bounds()...) {
		n := float64(h.buckets[i])
		if n == 0 || below+n < rank {
			below += n
			continue
		}
		high := low
		if i < len(bounds()) {
			high = bounds()[i]
		}
		return time.Duration((low + (high-low)*(rank-below)/n) * float64(time.Millisecond))
	}
	return 0
}
