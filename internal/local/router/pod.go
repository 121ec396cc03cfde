package router

import (
	"context"
	"net"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/serving/pkg/apis/serving"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// rest is how long no new request goes to an instance that refused a connection.
const rest = 100 * time.Millisecond

// pod is one instance. What is below transport belongs to its revision's lock.
type pod struct {
	object    *corev1.Pod
	revision  *revision
	transport *http.Transport
	upgrades  *http.Transport // for protocols that HTTP/2 cannot carry

	inFlight int
	ready    bool
	resting  bool          // refused a connection a moment ago
	idle     chan struct{} // closed when the last request is over; nil when nobody waits
}

// applyPod makes the table agree with a pod.
func (r *Router) applyPod(object *corev1.Pod, deleted bool) *pod {
	at, name := key{object.Namespace, object.Name}, object.Labels[serving.RevisionLabelKey]
	known := r.pods[at]
	if known != nil && (deleted || known.object.UID != object.UID) {
		delete(r.pods, at)
		known.setReady(false)
		known.transport.CloseIdleConnections()
		known.upgrades.CloseIdleConnections()
		r.use(known.revision, -1)
		known = nil
	}
	if deleted || name == "" {
		return nil
	}
	if known == nil {
		known = &pod{object: object, revision: r.revision(key{object.Namespace, name})}
		known.transport, known.upgrades = r.transport(known, false), r.transport(known, true)
		r.pods[at] = known
		r.use(known.revision, 1)
	}
	known.object = object
	known.setReady(object.DeletionTimestamp == nil && store.IsReady(object))
	return known
}

func (p *pod) setReady(ready bool) {
	v := p.revision
	v.mu.Lock()
	defer v.mu.Unlock()
	if p.ready == ready {
		return
	}
	p.ready, p.resting = ready, false
	if !ready {
		v.ready = slices.DeleteFunc(v.ready, func(other *pod) bool { return other == p })
		if len(v.ready) == 0 && v.waiting.Len() > 0 {
			go v.router.activate(v.namespace, v.name)
		}
		return
	}
	v.ready = append(v.ready, p)
	v.dispatch()
}

// pause gives the others precedence over an instance that refused a connection.
func (p *pod) pause() {
	v := p.revision
	v.mu.Lock()
	defer v.mu.Unlock()
	if p.resting {
		return
	}
	p.resting = true
	time.AfterFunc(rest, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		p.resting = false
		v.dispatch()
	})
}

// Drain returns when no request is in flight to a pod that gets no new ones: one
// that is to be deleted, or is not ready.
func (r *Router) Drain(ctx context.Context, object *corev1.Pod) error {
	r.catchUp()
	r.mu.Lock()
	p := r.pods[key{object.Namespace, object.Name}]
	other := p == nil || p.object.UID != object.UID
	r.mu.Unlock()
	if other {
		return nil
	}
	p.setReady(false)
	v := p.revision
	v.mu.Lock()
	if p.inFlight == 0 {
		v.mu.Unlock()
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	v.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

const (
	// idleConnTime is less than servers wait before they close an idle connection
	// (gunicorn 2 s, Node.js 5 s): a request must not meet that moment. It also is how
	// long a server of one thread may be held up by an idle connection.
	idleConnTime = 1500 * time.Millisecond
	// connectTime is how long a connection may take to come about.
	connectTime = 10 * time.Second
)

// transport connects to one instance, with many idle connections for bursts.
func (r *Router) transport(p *pod, upgrades bool) *http.Transport {
	namespace, name, revision := p.object.Namespace, p.object.Name, p.revision
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connectTime)
			defer cancel()
			conn, err := r.dial.DialPod(ctx, namespace, name, revision.limits.Load().port)
			if err != nil {
				return nil, &dialError{err}
			}
			return conn, nil
		},
		DisableCompression:    true,
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       idleConnTime,
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       4 << 10,
		ReadBufferSize:        4 << 10,
	}
	if revision.limits.Load().h2c && !upgrades {
		t.Protocols = &http.Protocols{}
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	return t
}

// dialError is that no connection came about: nothing of a request was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }
