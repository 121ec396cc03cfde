// Package router is the platform's way in: it leads a request from its host name
// over a route's split to an instance of a revision, as ingress, activator and
// queue-proxy do together on a cluster. Requests wait here while their revision
// starts, and while all its instances have as many requests as they want.
package router

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Dialer connects to a port of a pod.
type Dialer interface {
	DialPod(ctx context.Context, namespace, pod string, port int32) (net.Conn, error)
}

// Options are what a Router needs.
type Options struct {
	Store *store.Store
	// Domain is the suffix of public hosts, NAME.NAMESPACE.DOMAIN. It may have a
	// port, as in a URL; hosts are compared without.
	Domain string
	Dial   Dialer
	// Activate asks for an instance of a revision that has none. It is called for
	// each request that has to wait for one, and returns at once.
	Activate func(namespace, revision string)
	Log      *slog.Logger // nil: none
}

// Router follows the store and serves requests. Its zero value is of no use: see New.
type Router struct {
	store    *store.Store
	dial     Dialer
	activate func(namespace, revision string)
	log      *slog.Logger
	domain   string
	proxy    *httputil.ReverseProxy

	// What requests read. Keys of hosts are NAME.NAMESPACE and TAG-NAME.NAMESPACE.
	hosts   sync.Map
	byTag   atomic.Bool   // a header may choose the tag
	applied atomic.Uint64 // the store's version that all below agrees with

	mu        sync.Mutex // of what follows the store
	watch     *store.Watch
	routes    map[key]*route
	revisions map[key]*revision
	pods      map[key]*pod

	activeMu sync.Mutex
	active   map[*revision]struct{} // had a request since the last Collect
}

type key struct{ namespace, name string }

// New returns a router that knows what is in the store.
func New(o Options) *Router {
	r := &Router{
		store: o.Store, dial: o.Dial, activate: o.Activate, log: o.Log, domain: strings.ToLower(hostname(o.Domain)),
		routes: map[key]*route{}, revisions: map[key]*revision{}, pods: map[key]*pod{}, active: map[*revision]struct{}{},
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.activate == nil {
		r.activate = func(string, string) {}
	}
	r.proxy = newProxy(r.log)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reload()
	return r
}

// Run follows the store until ctx ends.
func (r *Router) Run(ctx context.Context) error {
	for {
		// Any change wakes this watch; what follows the store is caught up under mu.
		if _, err := r.store.Watch(r.applied.Load()).Next(ctx); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			r.log.Debug("the router reads everything again", "error", err)
		}
		r.catchUp()
	}
}

// catchUp applies the changes that there are. Requests call it too, so that a
// client that has seen a split in an answer of the API meets it here.
func (r *Router) catchUp() {
	if r.applied.Load() == r.store.Version() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.applied.Load() == r.store.Version() {
		return
	}
	over, cancel := context.WithCancel(context.Background())
	cancel() // Next returns what there is and does not wait
	events, err := r.watch.Next(over)
	if errors.Is(err, context.Canceled) {
		return
	} else if err != nil {
		r.reload()
		return
	}
	for _, e := range events {
		r.apply(e.Object, e.Change == store.Deleted)
	}
	r.applied.Store(r.watch.Version())
}

// reload compares everything with the store.
func (r *Router) reload() {
	version := r.store.Version()
	seen := map[any]bool{}
	r.byTag.Store(false)
	if features, ok := store.Get[*corev1.ConfigMap](r.store, "knative-serving", "config-features"); ok {
		r.applyFeatures(features, false)
	}
	for _, revision := range store.List[*servingv1.Revision](r.store, "") {
		seen[r.applyRevision(revision, false)] = true
	}
	for _, pod := range store.List[*corev1.Pod](r.store, "") {
		seen[r.applyPod(pod, false)] = true
	}
	for _, route := range store.List[*servingv1.Route](r.store, "") {
		seen[r.applyRoute(route, false)] = true
	}
	for _, route := range r.routes {
		if !seen[route] {
			r.applyRoute(route.object, true)
		}
	}
	for _, pod := range r.pods {
		if !seen[pod] {
			r.applyPod(pod.object, true)
		}
	}
	for _, revision := range r.revisions {
		if have := revision.limits.Load(); have.exists && !seen[revision] {
			r.applyRevision(have.object, true)
		}
	}
	r.watch = r.store.Watch(version)
	r.applied.Store(version)
}

func (r *Router) apply(object store.Object, deleted bool) {
	switch object := object.(type) {
	case *servingv1.Route:
		r.applyRoute(object, deleted)
	case *servingv1.Revision:
		r.applyRevision(object, deleted)
	case *corev1.Pod:
		r.applyPod(object, deleted)
	case *corev1.ConfigMap:
		r.applyFeatures(object, deleted)
	}
}

// applyFeatures reads the one of Knative's feature flags that is about requests,
// from where a cluster has it.
func (r *Router) applyFeatures(object *corev1.ConfigMap, deleted bool) {
	if object.Namespace == "knative-serving" && object.Name == "config-features" {
		r.byTag.Store(!deleted && strings.EqualFold(object.Data["tag-header-based-routing"], "enabled"))
	}
}

// hostname is a host without its port.
func hostname(host string) string {
	if at := strings.LastIndexByte(host, ':'); at >= 0 && strings.IndexByte(host[at:], ']') < 0 {
		return host[:at]
	}
	return host
}

var _ http.Handler = (*Router)(nil)
