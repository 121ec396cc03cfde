package router

import "time"

// load is how many requests a revision has at a time, averaged over time since
// the last report, as queue-proxy and activator report it.
type load struct {
	now      int // requests under way or waiting
	since    time.Time
	weighted float64 // requests * seconds
	seconds  float64
	requests float64
	listed   bool // in Router.active
}

func (l *load) advance(now time.Time) {
	if d := now.Sub(l.since).Seconds(); d > 0 {
		if !l.since.IsZero() {
			l.seconds += d
			l.weighted += d * float64(l.now)
		}
		l.since = now
	}
}

// enter counts a request in.
func (v *revision) enter(now time.Time) {
	v.mu.Lock()
	v.load.advance(now)
	v.load.now++
	v.load.requests++
	listed := v.load.listed
	v.load.listed = true
	v.mu.Unlock()
	if !listed {
		v.router.activeMu.Lock()
		v.router.active[v] = struct{}{}
		v.router.activeMu.Unlock()
	}
}

// leave counts it out, and gives up its place.
func (v *revision) leave(x *exchange, start, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.load.advance(now)
	v.load.now--
	v.figures.add(x, now.Sub(start))
	if x.pod != nil {
		v.release(x.pod)
	}
}

// Collect reports each revision that had requests since the last call: how many
// it had at a time on average, and how many arrived.
func (r *Router) Collect(now time.Time, report func(namespace, revision string, concurrency, requests float64)) {
	type figure struct {
		v                     *revision
		concurrency, requests float64
	}
	r.activeMu.Lock()
	active := make([]*revision, 0, len(r.active))
	for v := range r.active {
		active = append(active, v)
	}
	r.activeMu.Unlock()
	for _, v := range active {
		v.mu.Lock()
		v.load.advance(now)
		f := figure{v: v, requests: v.load.requests}
		if v.load.seconds > 0 {
			f.concurrency = v.load.weighted / v.load.seconds
		}
		v.load.requests, v.load.weighted, v.load.seconds = 0, 0, 0
		if quiet := v.load.now == 0 && f.requests == 0; quiet {
			v.load.listed = false
			r.activeMu.Lock()
			delete(r.active, v)
			r.activeMu.Unlock()
		}
		v.mu.Unlock()
		report(v.namespace, v.name, f.concurrency, f.requests)
	}
}
