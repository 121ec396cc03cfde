package router

import (
	"slices"
	"time"

	"github.com/kn-lite/kn-lite/internal/local/view"
)

// recentRequests is how many of the last requests tell a revision's latency now: the
// histograms, which go back to the start, would tell of an hour ago.
const recentRequests = 512

// recent is how long the last requests took.
type recent struct {
	took []time.Duration
	next int // the oldest, once there are recentRequests

	// Worked out when somebody looks, and again when there were other requests.
	seen        uint64
	median, p95 time.Duration
}

func (l *recent) add(took time.Duration) {
	if len(l.took) < recentRequests {
		l.took = append(l.took, took)
		return
	}
	l.took[l.next] = took
	l.next = (l.next + 1) % recentRequests
}

// quantiles returns median and 95th percentile after total requests.
func (l *recent) quantiles(total uint64) (median, p95 time.Duration) {
	if n := len(l.took); n > 0 && l.seen != total {
		sorted := slices.Sorted(slices.Values(l.took))
		l.median, l.p95, l.seen = sorted[n/2], sorted[n*95/100], total
	}
	return l.median, l.p95
}

// Requests returns what is known of the requests to a revision.
func (r *Router) Requests(namespace, name string) view.Requests {
	r.mu.Lock()
	v := r.revisions[key{namespace, name}]
	r.mu.Unlock()
	if v == nil {
		return view.Requests{}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	out := view.Requests{InFlight: v.load.now}
	for o, h := range v.figures.by {
		out.Total += h.count
		if o.status >= 500 {
			out.Failed += h.count
		}
	}
	out.Median, out.P95 = v.figures.recent.quantiles(out.Total)
	return out
}
