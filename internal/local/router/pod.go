package router

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/serving/pkg/apis/serving"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// rest is how long no new request goes to an instance that refused a connection.
const rest = 100 * time.Millisecond

// pod is one instance. What is below the connections belongs to its revision's lock.
type pod struct {
	object   *corev1.Pod
	revision *revision
	conns    *conns
	upgrades *http.Transport // for what conns and HTTP/2 cannot carry
	h2c      *http.Transport // nil where the instance speaks HTTP/1.1

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
		known.closeIdle()
		r.use(known.revision, -1)
		known = nil
	}
	if deleted || name == "" {
		return nil
	}
	if known == nil {
		known = &pod{object: object, revision: r.revision(key{object.Namespace, name})}
		known.conns, known.upgrades = &conns{dial: known.dialer()}, known.transport(false)
		if known.revision.limits.Load().h2c {
			known.h2c = known.transport(true)
		}
		r.pods[at] = known
		r.use(known.revision, 1)
	}
	known.object = object
	known.setReady(object.DeletionTimestamp == nil && store.IsReady(object))
	return known
}

func (p *pod) closeIdle() {
	p.conns.close()
	p.upgrades.CloseIdleConnections()
	if p.h2c != nil {
		p.h2c.CloseIdleConnections()
	}
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

// connectTime is how long a connection may take to come about.
const connectTime = 10 * time.Second

// dialer returns what connects to the pod's port.
func (p *pod) dialer() func(context.Context) (net.Conn, error) {
	namespace, name, revision := p.object.Namespace, p.object.Name, p.revision
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		conn, err := revision.router.dial.DialPod(ctx, namespace, name, revision.limits.Load().port)
		if err != nil {
			return nil, &dialError{err}
		}
		return conn, nil
	}
}

// transport is for requests that conns does not know: upgrades, those that ask before
// they send their body, and all of HTTP/2.
func (p *pod) transport(h2 bool) *http.Transport {
	dial := p.dialer()
	t := &http.Transport{
		DialContext:           func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression:    true,
		MaxIdleConnsPerHost:   maxIdleConns,
		IdleConnTimeout:       idleConnTime,
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       connBuffer,
		ReadBufferSize:        connBuffer,
	}
	if h2 {
		t.Protocols = &http.Protocols{}
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	return t
}

// roundTrip sends a request and returns the answer, whose body is still to be read.
// sent is set before the first byte is on its way.
func (p *pod) roundTrip(req *http.Request, sent *atomic.Bool) (*http.Response, error) {
	other := p.h2c
	if req.Header.Get("Upgrade") != "" || req.Header.Get("Expect") != "" {
		other = p.upgrades
	}
	if other == nil {
		return p.conns.roundTrip(req, sent)
	}
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	response, err := other.RoundTrip(req.WithContext(ctx))
	if err == nil && response.ContentLength > 0 {
		response.ContentLength = -1 // see received.take
	}
	return response, err
}

// dialError is that no connection came about: nothing of a request was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }
