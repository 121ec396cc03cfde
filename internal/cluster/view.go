package cluster

import (
	"cmp"
	"context"
	"slices"
	"time"

	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Condition is one line of an object's status.
type Condition struct {
	Type    string
	State   traffic.State
	Reason  string
	Message string
	Since   time.Time
}

// Revision is a revision with what people ask about it.
type Revision struct {
	traffic.Revision
	Replicas   int // pods that run now
	Conditions []Condition
}

// View is a service with its revisions, the newest first.
type View struct {
	*traffic.Snapshot
	Conditions  []Condition
	Revisions   []Revision
	Domains     []Domain
	Annotations map[string]string
	Labels      map[string]string
}

// Describe reads a service, its revisions and its domains.
func (c *Client) Describe(ctx context.Context, service string) (*View, error) {
	svc, err := c.GetService(ctx, service)
	if err != nil {
		return nil, err
	}
	list, err := c.ListRevisions(ctx, service)
	if err != nil {
		return nil, err
	}
	view := &View{
		Snapshot: knative.Snapshot(svc), Conditions: conditionsOf(svc.Status.Conditions),
		Annotations: svc.Annotations, Labels: svc.Labels,
	}
	if view.Domains, err = c.domains(ctx, service); err != nil {
		return nil, err
	}
	for i := range list {
		view.Revisions = append(view.Revisions, revisionView(&list[i]))
	}
	slices.SortFunc(view.Revisions, func(a, b Revision) int {
		return cmp.Or(cmp.Compare(b.Generation, a.Generation), b.Created.Compare(a.Created), cmp.Compare(b.Name, a.Name))
	})
	return view, nil
}

func revisionView(rev *servingv1.Revision) Revision {
	out := Revision{Revision: knative.Revision(rev), Conditions: conditionsOf(rev.Status.Conditions)}
	if rev.Status.ActualReplicas != nil {
		out.Replicas = int(*rev.Status.ActualReplicas)
	}
	return out
}

func conditionsOf(all duckv1.Conditions) []Condition {
	out := make([]Condition, len(all))
	for i, c := range all {
		out[i] = Condition{
			Type: string(c.Type), State: traffic.State(c.Status), Reason: c.Reason, Message: c.Message,
			Since: c.LastTransitionTime.Inner.Time,
		}
	}
	return out
}
