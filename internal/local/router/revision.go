package router

import (
	"container/list"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"knative.dev/serving/pkg/apis/autoscaling"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// maxWaiting is how many requests of a revision may wait, as Knative's activator
// has it; queueFactor is how many for each that an instance takes at a time, as
// its queue-proxy has it.
const (
	maxWaiting  = 10000
	queueFactor = 10
)

var errQueueFull = errors.New("pending request queue full")

// limits are what a Revision says about its requests.
type limits struct {
	exists      bool // the Revision is known, not only its pods
	object      *servingv1.Revision
	concurrency int // for each instance; 0 is no limit
	port        int32
	h2c         bool
	// direct: no activator was wanted before running instances, whose queues are shorter.
	direct                        bool
	timeout, startTimeout, silent time.Duration
}

// revision is one Revision with its instances and the requests to them.
type revision struct {
	router          *Router
	namespace, name string
	limits          atomic.Pointer[limits]
	users           int // routes and pods that know it; belongs to Router.mu

	mu      sync.Mutex
	ready   []*pod
	turn    int       // where the next search for the least loaded begins
	waiting list.List // of *waiter
	load    load
	figures figures
}

type waiter struct{ pod chan *pod }

func defaultLimits() *limits {
	return &limits{port: servingv1.DefaultUserPort, timeout: 300 * time.Second}
}

// revision returns the one with this name; it may be one that the store has not yet.
func (r *Router) revision(at key) *revision {
	known := r.revisions[at]
	if known == nil {
		known = &revision{router: r, namespace: at.namespace, name: at.name}
		known.limits.Store(defaultLimits())
		r.revisions[at] = known
	}
	return known
}

func (r *Router) applyRevision(object *servingv1.Revision, deleted bool) *revision {
	known := r.revision(key{object.Namespace, object.Name})
	if deleted {
		known.limits.Store(defaultLimits())
		r.forget(known)
		return nil
	}
	known.limits.Store(limitsOf(object))
	known.mu.Lock()
	defer known.mu.Unlock()
	known.dispatch()
	return known
}

// use counts the routes and pods of a revision, and forgets it with the last.
func (r *Router) use(v *revision, n int) {
	v.users += n
	r.forget(v)
}

// forget drops a revision that is neither in the store nor in use.
func (r *Router) forget(v *revision) {
	if v.users > 0 || v.limits.Load().exists {
		return
	}
	delete(r.revisions, key{v.namespace, v.name})
	r.activeMu.Lock()
	defer r.activeMu.Unlock()
	delete(r.active, v)
}

func limitsOf(object *servingv1.Revision) *limits {
	l := defaultLimits()
	l.exists, l.object = true, object
	spec := &object.Spec
	if spec.ContainerConcurrency != nil {
		l.concurrency = int(*spec.ContainerConcurrency)
	}
	if spec.TimeoutSeconds != nil {
		l.timeout = time.Duration(*spec.TimeoutSeconds) * time.Second
	}
	if spec.ResponseStartTimeoutSeconds != nil {
		l.startTimeout = time.Duration(*spec.ResponseStartTimeoutSeconds) * time.Second
	}
	if spec.IdleTimeoutSeconds != nil {
		l.silent = time.Duration(*spec.IdleTimeoutSeconds) * time.Second
	}
	for _, c := range spec.Containers {
		for _, port := range c.Ports {
			// A port may have a name alone: h2c, say.
			if port.ContainerPort != 0 {
				l.port = port.ContainerPort
			}
			l.h2c = port.Name == string("h2c")
		}
	}
	_, burst, _ := autoscaling.TargetBurstCapacityAnnotation.Get(object.Annotations)
	l.direct = burst == "0"
	return l
}

func (v *revision) labels() (service, configuration string) {
	if object := v.limits.Load().object; object != nil {
		return object.Labels[serving.ServiceLabelKey], object.Labels[serving.ConfigurationLabelKey]
	}
	return "", ""
}

// acquire waits for an instance that can take a request, and takes a place in it.
// One that just failed is not asked again while there are others.
func (v *revision) acquire(ctx context.Context, failed *pod) (*pod, error) {
	v.mu.Lock()
	if v.waiting.Len() == 0 {
		if p := v.pick(failed); p != nil {
			p.inFlight++
			v.mu.Unlock()
			return p, nil
		}
	}
	if v.waiting.Len() >= v.maxWaiting() {
		v.mu.Unlock()
		return nil, errQueueFull
	}
	w := &waiter{make(chan *pod, 1)}
	at := v.waiting.PushBack(w)
	none := len(v.ready) == 0
	v.mu.Unlock()
	if none {
		v.router.activate(v.namespace, v.name)
	}
	select {
	case p := <-w.pod:
		return p, nil
	case <-ctx.Done():
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case p := <-w.pod: // too late: the next one may have it
		v.release(p)
	default:
		v.waiting.Remove(at)
	}
	return nil, context.Cause(ctx)
}

func (v *revision) maxWaiting() int {
	l := v.limits.Load()
	if l.direct && l.concurrency > 0 && len(v.ready) > 0 {
		return queueFactor * l.concurrency * len(v.ready)
	}
	return maxWaiting
}

// pick returns the ready instance with the fewest requests, of equals each in
// its turn; nil when none has a free place.
func (v *revision) pick(failed *pod) *pod {
	limit := v.limits.Load().concurrency
	var best *pod
	for i := range v.ready {
		p := v.ready[(v.turn+i)%len(v.ready)]
		if p == failed && len(v.ready) > 1 {
			continue
		}
		if !p.resting && (limit == 0 || p.inFlight < limit) && (best == nil || p.inFlight < best.inFlight) {
			best = p
		}
	}
	if best != nil {
		v.turn++
	}
	return best
}

// hasOther reports whether another instance than p is ready.
func (v *revision) hasOther(p *pod) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.ready, func(other *pod) bool { return other != p })
}

// dispatch hands free places to those who wait, first come first served.
func (v *revision) dispatch() {
	for at := v.waiting.Front(); at != nil; at = v.waiting.Front() {
		p := v.pick(nil)
		if p == nil {
			return
		}
		p.inFlight++
		v.waiting.Remove(at)
		if w, ok := at.Value.(*waiter); ok {
			w.pod <- p
		}
	}
}

// release gives up a place.
func (v *revision) release(p *pod) {
	p.inFlight--
	if p.inFlight == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
	v.dispatch()
}
