package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// cluster is a small Knative in memory. Unlike client-go's fake it enforces
// resourceVersion, and it defaults and validates with Knative's own types.
type cluster struct {
	mu        sync.Mutex
	version   int
	service   *servingv1.Service
	config    *servingv1.Configuration
	revisions map[string]*servingv1.Revision
	pods      []*corev1.Pod
	watchers  map[chan struct{}]bool
	history   []*servingv1.Service // every state that was ever stored
	writes    int

	fate        func(*servingv1.Revision) corev1.ConditionStatus // of a revision; nil: ready at once
	beforeWrite func()                                           // runs once, before the next write, without the lock
	routes      bool                                             // the route follows the spec
	blind       bool                                             // the controller has not seen the newest labels of revisions
	denied      error                                            // revisions may not be labelled
	asleep      bool                                             // the controllers
	away        error                                            // the API server does not answer
	absent      []string                                         // kind/name of what does not exist
	disowned    int
}

func newCluster() *cluster {
	return &cluster{revisions: make(map[string]*servingv1.Revision), watchers: make(map[chan struct{}]bool), routes: true}
}

var _ Cluster = (*cluster)(nil)

func (c *cluster) Attend(context.Context) func() { return func() {} }

func (c *cluster) Unreachable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.away
}

func (c *cluster) Namespace() string { return "ns" }

func (c *cluster) FindService(ctx context.Context, _ string) (*servingv1.Service, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.service.DeepCopy(), ctx.Err()
}

func (c *cluster) FindRevision(ctx context.Context, name string) (*servingv1.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.revisions[name].DeepCopy(), ctx.Err()
}

func (c *cluster) ListRevisions(ctx context.Context, _ string) ([]servingv1.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []servingv1.Revision
	for _, name := range slices.Sorted(maps.Keys(c.revisions)) {
		out = append(out, *c.revisions[name].DeepCopy())
	}
	return out, ctx.Err()
}

func (c *cluster) CreateService(_ context.Context, svc *servingv1.Service, dryRun bool) (*servingv1.Service, error) {
	return c.store(svc, nil, dryRun)
}

func (c *cluster) UpdateService(_ context.Context, svc *servingv1.Service, dryRun bool) (*servingv1.Service, error) {
	return c.store(svc, func(old *servingv1.Service) error {
		if svc.ResourceVersion != old.ResourceVersion {
			return fault.New(fault.Conflict, "fake", svc.Name, "version %s, not %s", old.ResourceVersion, svc.ResourceVersion)
		}
		return nil
	}, dryRun)
}

func (c *cluster) store(svc *servingv1.Service, check func(*servingv1.Service) error, dryRun bool) (*servingv1.Service, error) {
	if hook := c.beforeWrite; hook != nil {
		c.beforeWrite = nil
		hook()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx := context.Background()
	switch {
	case c.service == nil && check != nil:
		return nil, fault.New(fault.NotFound, "fake", svc.Name, "not found")
	case c.service != nil && check == nil:
		return nil, fault.New(fault.Conflict, "fake", svc.Name, "exists")
	case check != nil:
		if err := check(c.service); err != nil {
			return nil, err
		}
		ctx = apis.WithinUpdate(ctx, c.service)
	}
	next := svc.DeepCopy()
	next.SetDefaults(ctx)
	if err := next.Validate(ctx).Filter(apis.ErrorLevel); err != nil {
		return nil, fault.New(fault.Usage, "fake", svc.Name, "%w", err)
	}
	if !traffic.Fits(next.Annotations) {
		return nil, fault.New(fault.Usage, "fake", svc.Name, "metadata.annotations: Too long")
	}
	if dryRun {
		return next, nil
	}
	if c.service == nil || !equality.Semantic.DeepEqual(next.Spec, c.service.Spec) {
		next.Generation++
	}
	c.writes++
	c.service = next
	c.settle()
	return c.service.DeepCopy(), nil
}

// settle is the controllers: it is called with the lock held after each change.
// What makes a revision is as in Knative's own configuration controller.
func (c *cluster) settle() {
	s := c.service
	if s == nil {
		return
	}
	c.version++
	s.ResourceVersion = strconv.Itoa(c.version)
	if c.asleep {
		return
	}
	if c.config == nil || !equality.Semantic.DeepEqual(c.config.Spec.Template, s.Spec.Template) {
		if c.config == nil {
			c.config = &servingv1.Configuration{}
		}
		c.config.Spec.Template = *s.Spec.Template.DeepCopy()
		c.config.Generation++
	}
	created := c.revisionOf(c.config)
	c.decide()
	c.config.Status.ObservedGeneration = c.config.Generation
	c.config.Status.LatestCreatedRevisionName = created.Name
	c.config.Status.LatestReadyRevisionName = c.latestReady(created)
	s.Status.LatestCreatedRevisionName = created.Name
	s.Status.LatestReadyRevisionName = c.config.Status.LatestReadyRevisionName
	s.Status.URL = apis.HTTP("fn.ns.example")
	s.Status.ObservedGeneration = s.Generation
	if c.routes {
		s.Status.Traffic = statusOf(s)
		s.Status.Conditions = duckv1.Conditions{{Type: servingv1.ServiceConditionRoutesReady, Status: corev1.ConditionTrue}}
	} else {
		s.Status.Conditions = duckv1.Conditions{{Type: servingv1.ServiceConditionRoutesReady, Status: corev1.ConditionFalse, Reason: "IngressNotConfigured"}}
	}
	c.history = append(c.history, s.DeepCopy())
	c.tell()
}

// revisionOf returns the revision of a configuration: by name, by the label
// with its generation, or a new one.
func (c *cluster) revisionOf(config *servingv1.Configuration) *servingv1.Revision {
	generation := strconv.FormatInt(config.Generation, 10)
	name := config.Spec.Template.Name
	if name == "" {
		for _, rev := range c.revisions {
			if rev.Labels[generationLabel] == generation && !c.blind {
				return rev
			}
		}
		c.blind = false
		name = fmt.Sprintf("fn-%05d", config.Generation)
	}
	if rev := c.revisions[name]; rev != nil {
		return rev
	}
	t := config.Spec.Template.DeepCopy()
	rev := &servingv1.Revision{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
	rev.Name, rev.Generation = name, 1
	rev.Labels = put(put(rev.Labels, generationLabel, generation), revisionServiceLabel, "fn")
	c.revisions[name] = rev
	return rev
}

// latestReady returns the ready revision with the highest generation from that
// of the latest ready one on, as Knative's own controller does.
func (c *cluster) latestReady(created *servingv1.Revision) string {
	at := func(rev *servingv1.Revision) int {
		n, _ := strconv.Atoi(rev.Labels[generationLabel])
		return n
	}
	var best *servingv1.Revision
	former := c.revisions[c.config.Status.LatestReadyRevisionName]
	for _, name := range slices.Sorted(maps.Keys(c.revisions)) {
		rev := c.revisions[name]
		if stateOf(rev) != corev1.ConditionTrue || former != nil && at(rev) < at(former) {
			continue
		}
		if rev.Name == c.config.Spec.Template.Name {
			return rev.Name
		}
		if best == nil || at(rev) > at(best) {
			best = rev
		}
	}
	if best == nil {
		return c.config.Status.LatestReadyRevisionName
	}
	return best.Name
}

// statusOf is what the route reports for a spec.
func statusOf(s *servingv1.Service) []servingv1.TrafficTarget {
	out := knative.Targets(knative.Spec(s))
	for i := range out {
		if out[i].RevisionName == "" {
			out[i].RevisionName = s.Status.LatestReadyRevisionName
		}
		if out[i].Tag != "" {
			out[i].URL = apis.HTTP(out[i].Tag + "-fn.ns.example")
		}
	}
	return out
}

func (c *cluster) Exists(_ context.Context, kind, name string) (bool, error) {
	return !slices.Contains(c.absent, kind+"/"+name), nil
}

func (c *cluster) FindConfiguration(ctx context.Context, _ string) (*servingv1.Configuration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.config.DeepCopy(), ctx.Err()
}

func (c *cluster) LabelRevision(_ context.Context, name, key, value string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.denied != nil {
		return c.denied
	}
	c.revisions[name].Labels = put(c.revisions[name].Labels, key, value)
	c.settle()
	return nil
}

func (c *cluster) DeleteRevision(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.revisions, name)
	c.settle()
	return nil
}

func (c *cluster) DisownService(context.Context, string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disowned++
	return nil
}

// decide gives every revision the state that fate says.
func (c *cluster) decide() {
	for _, rev := range c.revisions {
		state := corev1.ConditionTrue
		if c.fate != nil {
			state = c.fate(rev)
		}
		rev.Status.ObservedGeneration = rev.Generation
		rev.Status.Conditions = duckv1.Conditions{{Type: servingv1.RevisionConditionReady, Status: state, Reason: "FakeReason", Message: "as told"}}
	}
}

// set changes fates and lets everybody see.
func (c *cluster) set(fate func(*servingv1.Revision) corev1.ConditionStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fate = fate
	c.settle()
}

func (c *cluster) tell() {
	for w := range c.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// watch calls look after every change until it fails or ctx ends.
func (c *cluster) watch(ctx context.Context, look func() error) error {
	changed := make(chan struct{}, 1)
	c.mu.Lock()
	c.watchers[changed] = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.watchers, changed)
		c.mu.Unlock()
	}()
	for {
		if err := look(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (c *cluster) WatchService(ctx context.Context, _ string, on func(*servingv1.Service) error) error {
	return c.watch(ctx, func() error {
		c.mu.Lock()
		now := c.service.DeepCopy()
		c.mu.Unlock()
		return on(now)
	})
}

func (c *cluster) WatchRevision(ctx context.Context, name string, on func(*servingv1.Revision) error) error {
	return c.watch(ctx, func() error {
		c.mu.Lock()
		now := c.revisions[name].DeepCopy()
		c.mu.Unlock()
		return on(now)
	})
}

func (c *cluster) WatchPods(ctx context.Context, _ string, on func([]*corev1.Pod) error) error {
	return c.watch(ctx, func() error {
		c.mu.Lock()
		now := slices.Clone(c.pods)
		c.mu.Unlock()
		return on(now)
	})
}

func (c *cluster) ListDeployments(context.Context, string) ([]appsv1.Deployment, error) {
	return nil, nil
}

func (c *cluster) ListEvents(context.Context, string, string) ([]corev1.Event, error) {
	return nil, nil
}

func (c *cluster) TailLog(context.Context, string, string, int64, bool) ([]string, error) {
	return nil, nil
}
