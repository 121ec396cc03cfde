// Package control holds the controllers of the embedded platform: what makes
// configurations, routes, revisions, deployments and pods of a service, and says in
// their status how far they are. The conditions, reasons and messages are Knative's.
//
// What is to be is a function of what is: the files service.go, configuration.go,
// revision.go, route.go, deployment.go and garbage.go have the decisions, which see
// only the objects they are given, and thin methods that read and write. One loop
// feeds them with the store's changes. No task looks at more than the objects that
// belong to its own, so work does not grow with the number of services.
package control

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Options say what controllers work with.
type Options struct {
	Store *store.Store
	// Domain ends the host names of services, with a port where it is not 80:
	// 127.0.0.1.sslip.io:7080.
	Domain string
	// Resolver finds digests; nil takes images as they are.
	Resolver Resolver
	// Node is the name of the one node; "" is kn-lite.
	Node string
	// Workers is how many tasks are done at once; 0 is a few.
	Workers int
	// Report hears of errors that no object's status shows; nil drops them.
	Report func(error)
	// Now is the clock of decisions; nil is the real one.
	Now func() time.Time
}

// Resolver finds the digest of an image.
type Resolver interface {
	// Resolve returns image with its digest. secrets are pull secrets
	// (.dockerconfigjson contents).
	Resolve(ctx context.Context, image string, secrets [][]byte) (string, error)
}

// Controller is the controllers of one store.
type Controller struct {
	Options
	queue   *queue
	digests *digests
	routes  *references
	paces   *paces
	events  *events
	// observe hears of each task; for tests.
	observe func(task)
}

// New returns controllers that Run starts.
func New(o Options) *Controller {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	if o.Workers == 0 {
		o.Workers = 4
	}
	if o.Node == "" {
		o.Node = defaultNode
	}
	c := &Controller{Options: o, queue: newQueue(), routes: newReferences(), paces: newPaces(), observe: func(task) {}}
	c.events = newEvents(o.Store, o.Now)
	c.digests = newDigests(o.Resolver, func(t task) { c.queue.add(t) })
	return c
}

// Run works until ctx ends, and returns when nothing of it runs any longer.
func (c *Controller) Run(ctx context.Context) error {
	if err := c.bootstrap(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, c.queue.close)()
	c.digests.start(ctx)
	var group sync.WaitGroup
	for range c.Workers {
		group.Go(c.work)
	}
	err := store.Follow(ctx, c.everything, c.changed)
	c.queue.close()
	group.Wait()
	c.digests.wait()
	return err
}

// everything has all objects looked at, and watches for changes from then on.
func (c *Controller) everything() *store.Watch {
	watch := c.Store.Watch(c.Store.Version())
	for _, kind := range c.Store.Kinds() {
		objects, _ := c.Store.List(kind, "")
		for _, object := range objects {
			c.changed(store.Event{Change: store.Added, Kind: kind, Object: object})
		}
	}
	return watch
}

// work does tasks until the queue is closed.
func (c *Controller) work() {
	for {
		t, ok := c.queue.take()
		if !ok {
			return
		}
		c.observe(t)
		after, err := c.do(t)
		switch {
		case err == nil:
			c.queue.done(t, after)
		case apierrors.IsConflict(err):
			// Somebody else was faster: the next look sees what they wrote.
			c.queue.add(t)
			c.queue.done(t, 0)
		default:
			c.Report(err)
			c.queue.failed(t)
		}
	}
}

// do does one task; after is when it is due again without any change, 0 for never.
func (c *Controller) do(t task) (after time.Duration, err error) {
	switch t.work {
	case doService:
		return reconcile(c, t, c.syncService)
	case doConfiguration:
		return reconcile(c, t, c.syncConfiguration)
	case doRevision:
		return reconcile(c, t, c.syncRevision)
	case doRoute:
		return c.reconcileRoute(t)
	case doDeployment:
		return c.reconcileDeployment(t)
	case doGarbage:
		return c.collectRevisions(t)
	case doNamespace:
		return 0, c.reconcileNamespace(t.name)
	case doOrphans:
		return 0, c.collectOrphans(t)
	case doExpire:
		return c.events.expire(), nil
	}
	return 0, errors.New("unknown task " + string(t.work))
}
