// Package cluster is the one adapter between kn-lite and a Kubernetes cluster:
// kubeconfig, typed clients for the few groups that are needed, watches that
// survive what happens to watches, and errors that say what to do. It is the
// only importer of client-go and of Knative's clients; its methods take and
// return the plain API types.
package cluster

import (
	"net/http"

	"k8s.io/client-go/rest"

	servingv1 "knative.dev/serving/pkg/client/clientset/versioned/typed/serving/v1"

	"github.com/kn-lite/kn-lite/internal/progress"
)

// Options says which cluster is meant. The zero value means what kubectl
// would take it to mean.
type Options struct {
	Kubeconfig string              // a file, from --kubeconfig; "" is $KUBECONFIG, then ~/.kube/config, then the pod's own account
	Context    string              // from --context; "" is the kubeconfig's current context
	Namespace  string              // already resolved from flags, environment and files; "" is the context's own
	Env        func(string) string // KUBECONFIG, HOME, KUBERNETES_SERVICE_HOST
	UserAgent  string              // kn-lite/VERSION
	// Progress hears of an API server that stops answering while something waits for
	// it, and of its return. It may be nil.
	Progress progress.Reporter
}

// Client talks to one namespace of one cluster. Making one reads files and
// opens no connection. All methods are safe for concurrent use.
type Client struct {
	namespace string
	server    string // URL of the API server, for messages
	context   string // name of the context in use, "" inside a pod

	serving servingv1.ServingV1Interface
	core    coreGroup
	apps    appsGroup
	batch   batchGroup
	rest    rest.Interface // for groups without a typed client
	config  *rest.Config   // for connections of another kind
	http    *http.Client   // of all groups
	reach   *reach
}

// New resolves the kubeconfig as kubectl does.
//
// Errors: Usage when a named file or context is wrong, NotFound when there is
// no configuration anywhere.
func New(o Options) (*Client, error) {
	found, err := resolve(o)
	if err != nil {
		return nil, err
	}
	return newFor(found, o.Progress)
}

// newFor makes the typed clients; they share one connection pool.
func newFor(t target, report progress.Reporter) (*Client, error) {
	connections, err := rest.HTTPClientFor(t.config)
	if err != nil {
		return nil, badConfig(t, err)
	}
	boundPlugin(connections, t)
	c := &Client{namespace: t.namespace, server: t.config.Host, context: t.context, reach: newReach(t, connections, report)}
	serving, err := servingv1.NewForConfigAndClient(t.config, connections)
	if err != nil {
		return nil, badConfig(t, err)
	}
	core, err := newCore(t.config, connections)
	if err != nil {
		return nil, badConfig(t, err)
	}
	apps, err := newApps(t.config, connections)
	if err != nil {
		return nil, badConfig(t, err)
	}
	batch, err := newBatch(t.config, connections)
	if err != nil {
		return nil, badConfig(t, err)
	}
	c.serving, c.core, c.apps, c.batch, c.rest, c.config, c.http = serving, core, apps, batch, core.rest, t.config, connections
	return c, nil
}

// Namespace is the namespace that every method works in.
func (c *Client) Namespace() string { return c.namespace }

// Server is the URL of the API server, for messages.
func (c *Client) Server() string { return c.server }

// Context is the name of the kubeconfig's context in use, "" inside a pod.
func (c *Client) Context() string { return c.context }
