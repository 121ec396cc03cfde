package router

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bounds are the histogram's, in milliseconds, as Knative's queue-proxy has them.
func bounds() []float64 {
	return []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000}
}

// figures are a revision's requests since the start, by status and tag.
type figures struct {
	by     map[outcome]*histogram
	recent recent
}

type outcome struct {
	status int
	tag    string
}

type histogram struct {
	buckets [20]uint64 // one more than bounds
	count   uint64
	sum     float64
}

func (f *figures) add(x *exchange, took time.Duration) {
	status := x.response.status
	if status == 0 {
		status = http.StatusOK
	}
	h := f.by[outcome{status, x.tag}]
	if h == nil {
		if f.by == nil {
			f.by = map[outcome]*histogram{}
		}
		h = &histogram{}
		f.by[outcome{status, x.tag}] = h
	}
	ms := float64(took) / float64(time.Millisecond)
	at, _ := slices.BinarySearch(bounds(), ms)
	h.buckets[at]++
	h.count++
	h.sum += ms
	f.recent.add(took)
}

// Metrics serves counts and latencies in Prometheus' text form, under the names
// that Knative's queue-proxy gives them.
func (r *Router) Metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		out := bufio.NewWriter(w)
		r.writeMetrics(out)
		_ = out.Flush() // the reader may have gone
	})
}

type series struct {
	labels  string
	figures map[outcome]histogram
	pending int
}

func (r *Router) writeMetrics(out *bufio.Writer) {
	all := r.series()
	fmt.Fprint(out, "# HELP revision_app_request_count Requests that were answered\n# TYPE revision_app_request_count counter\n")
	each(all, func(labels string, h histogram) {
		fmt.Fprintf(out, "revision_app_request_count{%s} %d\n", labels, h.count)
	})
	fmt.Fprint(out, "# HELP revision_app_request_latencies How long they took, in milliseconds\n# TYPE revision_app_request_latencies histogram\n")
	each(all, func(labels string, h histogram) {
		var sum uint64
		for i, bound := range bounds() {
			sum += h.buckets[i]
			fmt.Fprintf(out, "revision_app_request_latencies_bucket{%s,le=\"%s\"} %d\n", labels, strconv.FormatFloat(bound, 'f', -1, 64), sum)
		}
		fmt.Fprintf(out, "revision_app_request_latencies_bucket{%s,le=\"+Inf\"} %d\n", labels, h.count)
		fmt.Fprintf(out, "revision_app_request_latencies_sum{%s} %g\nrevision_app_request_latencies_count{%s} %d\n", labels, h.sum, labels, h.count)
	})
	fmt.Fprint(out, "# HELP revision_queue_depth Requests that are under way or wait\n# TYPE revision_queue_depth gauge\n")
	for _, s := range all {
		fmt.Fprintf(out, "revision_queue_depth{%s} %d\n", s.labels, s.pending)
	}
}

func each(all []series, do func(labels string, h histogram)) {
	for _, s := range all {
		for _, o := range slices.SortedFunc(maps.Keys(s.figures), func(a, b outcome) int {
			if a.status != b.status {
				return a.status - b.status
			}
			return strings.Compare(a.tag, b.tag)
		}) {
			do(fmt.Sprintf("%s,response_code=\"%d\",response_code_class=\"%dxx\",route_tag=%q", s.labels, o.status, o.status/100, o.tag), s.figures[o])
		}
	}
}

// series copies the figures of revisions that had requests, by namespace and name.
func (r *Router) series() []series {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []series
	for _, v := range r.revisions {
		v.mu.Lock()
		if len(v.figures.by) > 0 || v.load.now > 0 {
			service, configuration := v.labels()
			s := series{pending: v.load.now, figures: map[outcome]histogram{}}
			s.labels = fmt.Sprintf("namespace_name=%q,service_name=%q,configuration_name=%q,revision_name=%q", v.namespace, service, configuration, v.name)
			for o, h := range v.figures.by {
				s.figures[o] = *h
			}
			out = append(out, s)
		}
		v.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b series) int { return strings.Compare(a.labels, b.labels) })
	return out
}
