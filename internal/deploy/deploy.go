// Package deploy turns an image into a live revision as one transaction:
// remember what is there, create the new revision beside it without traffic,
// wait until that very revision is ready, then move the traffic. On any
// failure the former template and split come back, exactly.
//
// The decisions are pure functions over API objects (Desired, nextName,
// Diagnose, finalSplit); Cluster is the only thing that acts.
package deploy

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Cluster is what a deploy needs of the cluster. Everything is about one
// namespace. Errors are *fault.Error; UpdateService and CreateService return
// Conflict when somebody else has written first.
type Cluster interface {
	Namespace() string
	// FindService and FindRevision return nil and no error for what is absent.
	FindService(ctx context.Context, name string) (*servingv1.Service, error)
	FindRevision(ctx context.Context, name string) (*servingv1.Revision, error)
	ListRevisions(ctx context.Context, service string) ([]servingv1.Revision, error)
	CreateService(ctx context.Context, svc *servingv1.Service, dryRun bool) (*servingv1.Service, error)
	UpdateService(ctx context.Context, svc *servingv1.Service, dryRun bool) (*servingv1.Service, error)

	// Exists reports whether there is a secret, configmap, persistentvolumeclaim
	// or serviceaccount; true also where that may not be looked at.
	Exists(ctx context.Context, kind, name string) (bool, error)
	// FindConfiguration returns nil and no error for what is absent.
	FindConfiguration(ctx context.Context, name string) (*servingv1.Configuration, error)
	LabelRevision(ctx context.Context, name, key, value string) error
	DeleteRevision(ctx context.Context, name string) error
	// DisownService gives up the fields that the writes above have made ours in
	// managedFields.
	DisownService(ctx context.Context, name string) error

	// The watches call on with what is there now and after every change (nil:
	// absent) until it returns an error or ctx ends; errors that a moment cures
	// never end them.
	WatchService(ctx context.Context, name string, on func(*servingv1.Service) error) error
	WatchRevision(ctx context.Context, name string, on func(*servingv1.Revision) error) error
	WatchPods(ctx context.Context, selector string, on func([]*corev1.Pod) error) error

	// Attend has the API server looked after until the returned function is called: it
	// is reported when it stops answering. Unreachable returns why it did not answer
	// when that was looked at last; nil when it did.
	Attend(ctx context.Context) (leave func())
	Unreachable() error

	// What follows is read only to explain a failure; errors are not fatal.
	ListDeployments(ctx context.Context, selector string) ([]appsv1.Deployment, error)
	ListEvents(ctx context.Context, kind, name string) ([]corev1.Event, error)
	TailLog(ctx context.Context, pod, container string, lines int64, previous bool) ([]string, error)
}

// Options say how to go about it.
type Options struct {
	NoWait bool
	DryRun bool // ask the API server what it would store
	// Unchecked leaves out that question on a dry run: who may only read cannot ask it.
	Unchecked bool
	Hidden    map[string]bool // variables whose values a forecast does not show
	// Timeout bounds becoming ready, and again the route. Zero: 5 minutes, or
	// longer where a startup probe allows more.
	Timeout time.Duration
	Blind   []string // what this user may not look at: a failure that needs it stays unexplained
	Now     func() time.Time
	Report  progress.Reporter
}

// Outcome says what a deploy has done.
type Outcome string

// The outcomes of a deploy that did not fail.
const (
	Created   Outcome = "created"   // the service is new
	Updated   Outcome = "updated"   // the service has a new revision
	Unchanged Outcome = "unchanged" // nothing was written
	Moved     Outcome = "moved"     // the revision was there; its traffic or tag has changed
)

// Result is what a deploy has led to.
type Result struct {
	Outcome  Outcome
	Revision string
	Image    string // with digest
	URL      string // "" while the cluster has not assigned one
	TagURL   string // of Spec.Tag
	Ready    bool   // false only with NoWait
	Moves    bool   // requests to a host that was there before go to another revision
	Split    traffic.Split
	Service  *servingv1.Service // as last seen; with DryRun what would be stored
	Forecast *Forecast          // with DryRun only
}
