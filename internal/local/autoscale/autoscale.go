// Package autoscale decides how many instances each revision has. The decisions
// are those of Knative's own autoscaler (KPA) on the router's figures; this
// package does around it what Knative's reconciler does: it writes the scale into
// the Deployment and the state into the PodAutoscaler.
//
// A revision that is at zero costs nothing: only those that have instances, or
// are to get some, are looked at from time to time.
package autoscale

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/apis/serving"
	"knative.dev/serving/pkg/autoscaler/config"
	"knative.dev/serving/pkg/autoscaler/config/autoscalerconfig"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const (
	// figuresEvery and decideEvery are the intervals in which Knative reads
	// figures and decides.
	figuresEvery = time.Second
	decideEvery  = 2 * time.Second

	// settings is where a cluster has them, and where they are read from here.
	settingsNamespace = "knative-serving"
)

// Figures reports the traffic of each revision that had some since the last call.
type Figures interface {
	Collect(now time.Time, report func(namespace, revision string, concurrency, requests float64))
}

// Options are what an Autoscaler needs.
type Options struct {
	Store   *store.Store
	Figures Figures
	Log     *slog.Logger // nil: none
}

// Autoscaler keeps revisions at the scale that their traffic wants.
type Autoscaler struct {
	store   *store.Store
	figures Figures
	log     *slog.Logger

	mu      sync.Mutex
	config  *autoscalerconfig.Config
	scalers map[key]*scaler // of revisions that are not at rest
}

type key struct{ namespace, name string }

// New returns an Autoscaler; Run starts it.
func New(o Options) (*Autoscaler, error) {
	defaults, err := readSettings(nil)
	if err != nil {
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Autoscaler{store: o.Store, figures: o.Figures, log: log, config: defaults, scalers: map[key]*scaler{}}, nil
}

// Run follows the store and the figures until ctx ends.
func (a *Autoscaler) Run(ctx context.Context) error {
	watch := a.start()
	next := time.Now().Add(figuresEvery)
	for {
		events, err := a.wait(ctx, watch, next)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			watch = a.start()
		}
		a.mu.Lock()
		for at := range a.changed(events) {
			a.reconcile(at, time.Now())
		}
		if now := time.Now(); !now.Before(next) {
			a.tick(now)
			next = now.Add(figuresEvery)
		}
		a.mu.Unlock()
	}
}

// start reconciles everything that there is.
func (a *Autoscaler) start() *store.Watch {
	version := a.store.Version()
	a.mu.Lock()
	defer a.mu.Unlock()
	if settings, ok := store.Get[*corev1.ConfigMap](a.store, settingsNamespace, config.ConfigName); ok {
		a.configure(settings)
	}
	for _, pa := range store.List[*autoscalingv1alpha1.PodAutoscaler](a.store, "") {
		a.reconcile(key{pa.Namespace, pa.Name}, time.Now())
	}
	return a.store.Watch(version)
}

// wait returns changes, or none when it is time for a tick. With every revision
// at rest there are no ticks.
func (a *Autoscaler) wait(ctx context.Context, watch *store.Watch, next time.Time) ([]store.Event, error) {
	a.mu.Lock()
	busy := len(a.scalers) > 0
	a.mu.Unlock()
	until := ctx
	if busy {
		var cancel context.CancelFunc
		until, cancel = context.WithDeadline(ctx, next)
		defer cancel()
	}
	events, err := watch.Next(until)
	if until.Err() != nil {
		return events, nil
	}
	return events, err
}

// changed returns the revisions that events are about.
func (a *Autoscaler) changed(events []store.Event) map[key]bool {
	out := map[key]bool{}
	for _, e := range events {
		switch object := e.Object.(type) {
		case *autoscalingv1alpha1.PodAutoscaler:
			out[key{object.Namespace, object.Name}] = true
		case *appsv1.Deployment, *corev1.Pod:
			if revision := object.GetLabels()[serving.RevisionLabelKey]; revision != "" {
				out[key{object.GetNamespace(), revision}] = true
			}
		case *corev1.ConfigMap:
			if object.Namespace == settingsNamespace && object.Name == config.ConfigName {
				a.configure(object)
			}
		}
	}
	return out
}

// configure takes over the settings of a config map as a cluster has it.
func (a *Autoscaler) configure(object *corev1.ConfigMap) {
	next, err := readSettings(object.Data)
	if err != nil {
		a.log.Warn("the autoscaler's settings stay as they were", "configmap", object.Namespace+"/"+object.Name, "error", err)
		return
	}
	a.config = next
}

// readSettings reads what a cluster has in its config map. A cluster lets no
// revision begin without an instance unless that says so; here it may, which the
// API's admission knows too.
func readSettings(data map[string]string) (*autoscalerconfig.Config, error) {
	const allowZero = "allow-zero-initial-scale"
	if _, ok := data[allowZero]; !ok {
		if data = maps.Clone(data); data == nil {
			data = map[string]string{}
		}
		data[allowZero] = "true"
	}
	return config.NewConfigFromMap(data)
}

// tick reads the figures and decides where it is time to.
func (a *Autoscaler) tick(now time.Time) {
	type figure struct{ concurrency, requests float64 }
	seen := map[key]figure{}
	a.figures.Collect(now, func(namespace, revision string, concurrency, requests float64) {
		seen[key{namespace, revision}] = figure{concurrency, requests}
	})
	for at, s := range a.scalers {
		f, traffic := seen[at]
		if traffic || s.ready > 0 {
			s.record(now, f.concurrency, f.requests)
		}
		if now.Sub(s.decided) >= decideEvery {
			s.decide(now)
			a.reconcile(at, now)
		}
	}
}

// Activate gives a revision at zero its first instances, at once. For one that
// has some, or is about to, it does nothing.
func (a *Autoscaler) Activate(namespace, revision string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, now := key{namespace, revision}, time.Now()
	if s := a.scalers[at]; s != nil && s.desired > 0 {
		return
	}
	pa, ok := store.Get[*autoscalingv1alpha1.PodAutoscaler](a.store, namespace, revision)
	if !ok || pa.DeletionTimestamp != nil {
		return
	}
	s := a.scaler(at, pa)
	s.record(now, 1, 1)
	s.early = 1
	s.decide(now)
	s.desired = max(s.desired, 1, s.spec.ActivationScale)
	a.reconcile(at, now)
}
