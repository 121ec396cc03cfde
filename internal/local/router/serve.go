package router

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

const (
	probeHeader      = "K-Network-Probe"
	probeHashHeader  = "K-Network-Hash"
	tagHeader        = "Knative-Serving-Tag"
	defaultTagHeader = "Knative-Serving-Default-Route"
)

// ServeHTTP leads a request to an instance of the revision whose turn it is.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.catchUp()
	found, ok := r.lookup(req.Host)
	if !ok {
		http.Error(w, fmt.Sprintf("there is no service at %s; `kn-lite list` shows the services with their URLs", req.Host), http.StatusNotFound)
		return
	}
	if answerProbe(w, req) {
		return
	}
	v, tag := found.choose(req, r.byTag.Load())
	if v == nil {
		http.Error(w, fmt.Sprintf("service %s has no revision that is ready; `kn-lite describe` says why", found.route.name()), http.StatusServiceUnavailable)
		return
	}
	if !v.limits.Load().exists {
		http.Error(w, fmt.Sprintf("revision %s of service %s does not exist any longer", v.name, found.route.name()), http.StatusServiceUnavailable)
		return
	}
	r.serve(w, req, v, tag)
}

// choose returns the revision for a request, and the tag that led to it.
func (t *target) choose(req *http.Request, byTag bool) (v *revision, tag string) {
	if t.revision != nil {
		return t.revision, t.tag
	}
	s := t.route.split.Load()
	if byTag && s != nil {
		wanted := req.Header.Get(tagHeader)
		if tagged := s.tags[wanted]; tagged != nil {
			return tagged, wanted
		}
		req.Header.Set(defaultTagHeader, "true")
	}
	return s.pick(), ""
}

func (k *route) name() string { return k.object.Name }

// answerProbe answers what Knative's own parts ask of an ingress and an activator.
func answerProbe(w http.ResponseWriter, req *http.Request) bool {
	switch probe := req.Header.Get(probeHeader); probe {
	case "":
		return false
	case "probe":
		hash := req.Header.Get(probeHashHeader)
		if hash == "" {
			http.Error(w, `a probe request must contain a non-empty "K-Network-Hash" header`, http.StatusBadRequest)
			return true
		}
		w.Header().Set(probeHashHeader, hash)
		w.WriteHeader(http.StatusOK)
	case "activator", "queue":
		// Whoever asks for one of these wants its name as the answer.
		_, _ = w.Write([]byte(probe))
	default:
		http.Error(w, fmt.Sprintf("unexpected probe header value: %q", probe), http.StatusBadRequest)
	}
	return true
}

// exchange is one request on its way.
type exchange struct {
	revision *revision
	tag      string
	pod      *pod        // has a place in it
	sent     atomic.Bool // an instance has been given the head of the request
	response *response
}

type exchangeKey struct{}

func (r *Router) serve(w http.ResponseWriter, req *http.Request, v *revision, tag string) {
	start := time.Now()
	x := &exchange{revision: v, tag: tag, response: &response{ResponseWriter: w}}
	v.enter(start)
	defer func() { v.leave(x, start, time.Now()) }()

	ctx, cancel := context.WithCancelCause(context.WithValue(req.Context(), exchangeKey{}, x))
	defer cancel(nil)
	stop := x.response.limit(v.limits.Load(), cancel)
	defer stop()

	if req.ContentLength != 0 && req.ProtoMajor == 1 {
		// An answer may begin before all of the request is there.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	defer x.endOnTimeout(ctx)
	r.proxy.ServeHTTP(x.response, req.WithContext(ctx))
}

// endOnTimeout ends an answer that took too long as if it were complete: that is how
// queue-proxy does it, and what Knative's conformance tests want. The length that an
// answer may have said still shows what is missing.
func (x *exchange) endOnTimeout(ctx context.Context) {
	if !errors.Is(context.Cause(ctx), errTimeout) || !x.response.started() {
		return
	}
	if r := recover(); r != nil && r != http.ErrAbortHandler { //nolint:errorlint // a panic's very value
		panic(r)
	}
}

// fail answers a request that no instance has answered.
func (x *exchange) fail(w http.ResponseWriter, req *http.Request, err error) {
	cause := context.Cause(req.Context())
	switch {
	case errors.Is(err, errQueueFull):
		http.Error(w, errQueueFull.Error(), http.StatusServiceUnavailable)
	case errors.Is(cause, errTimeout):
		if req.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // see response.limit: its deadlines outlast the request
		}
		http.Error(w, x.timeoutMessage(), http.StatusGatewayTimeout)
	case cause != nil:
		// The client has gone: nobody reads this, but the figures do.
		x.response.status = statusClientClosed
	case errors.As(err, new(*dialError)):
		http.Error(w, fmt.Sprintf("no instance of revision %s accepts connections on port %d: %v", x.revision.name, x.revision.limits.Load().port, err), http.StatusBadGateway)
	default:
		http.Error(w, fmt.Sprintf("an instance of revision %s closed the connection without an answer: %v", x.revision.name, err), http.StatusBadGateway)
	}
}

// statusClientClosed is how proxies count requests that their client gave up.
const statusClientClosed = 499

func (x *exchange) timeoutMessage() string {
	if x.pod != nil {
		return errTimeout.Error()
	}
	message := fmt.Sprintf("%v: revision %s had no free instance", errTimeout, x.revision.name)
	if object := x.revision.limits.Load().object; object != nil {
		if c := object.Status.GetCondition(servingv1.RevisionConditionReady); c.IsFalse() && c.Message != "" {
			message += ": " + c.Message
		}
	}
	return message
}
