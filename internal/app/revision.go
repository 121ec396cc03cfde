package app

import (
	"context"
	"slices"
	"strings"

	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/revision"
	"github.com/kn-lite/kn-lite/internal/rollout"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// RevisionDetail is a revision with its state and what it is in use for.
type RevisionDetail struct {
	Service *cluster.View
	cluster.Revision
	Uses    []revision.Reason // what stands against deleting it
	Finding *deploy.Finding   // why it is not ready; nil when it is
}

// DescribeRevision returns the revision that ref leads to: a name, vN, a tag, @latest …
// Without a service, ref is a full name, and the revision says whose it is.
func (a *App) DescribeRevision(ctx context.Context, t Target, ref string) (*RevisionDetail, error) {
	client, err := a.Cluster(t.Namespace)
	if err != nil {
		return nil, err
	}
	service, err := serviceOfRevision(ctx, client, t.Service, ref)
	if err != nil {
		return nil, err
	}
	s, err := readRevisions(ctx, client, service)
	if err != nil {
		return nil, err
	}
	name, err := oneRevision(s.known, ref)
	if err != nil {
		return nil, err
	}
	out := &RevisionDetail{Uses: s.uses.Uses(name)}
	if out.Service, err = client.Describe(ctx, service); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(out.Service.Revisions, func(r cluster.Revision) bool { return r.Name == name })
	if at < 0 {
		return nil, fault.New(fault.NotFound, "revision.describe", "revision/"+name, "it was deleted meanwhile")
	}
	out.Revision = out.Service.Revisions[at]
	out.Finding, err = deploy.Explain(ctx, client, service, name, a.Now())
	return out, err
}

// serviceOfRevision returns the service that was named, else that of the revision.
func serviceOfRevision(ctx context.Context, client *cluster.Client, service, ref string) (string, error) {
	if service != "" {
		return service, nil
	}
	rev, err := client.FindRevision(ctx, ref)
	if err != nil {
		return "", err
	}
	if rev == nil || rev.Labels[serving.ServiceLabelKey] == "" {
		return "", fault.New(fault.Usage, "app.service", "", "which service? %s is not the full name of a revision in namespace %s", ref, client.Namespace())
	}
	return rev.Labels[serving.ServiceLabelKey], nil
}

// revisions is a service with its revisions and what they are in use for.
type revisions struct {
	service *servingv1.Service
	all     []servingv1.Revision
	uses    *revision.Service
	known   traffic.Known
}

func readRevisions(ctx context.Context, client *cluster.Client, service string) (*revisions, error) {
	svc, err := client.GetService(ctx, service)
	if err != nil {
		return nil, err
	}
	all, err := client.ListRevisions(ctx, service)
	if err != nil {
		return nil, err
	}
	snap := knative.Snapshot(svc)
	return &revisions{
		service: svc, all: all, uses: usesOf(svc),
		known: traffic.Known{Service: service, Revisions: knative.Revisions(all), LatestReady: snap.LatestReady, Split: snap.Spec.Normal()},
	}, nil
}

func usesOf(svc *servingv1.Service) *revision.Service {
	snap := knative.Snapshot(svc)
	past, err := traffic.History(snap.Annotations[traffic.HistoryKey])
	if err != nil {
		past = nil // undo cannot read it either
	}
	return &revision.Service{
		LatestReady: snap.LatestReady, LatestCreated: snap.LatestCreated,
		Spec: snap.Spec, Observed: snap.Observed, Past: past, Deploying: deploy.UnderWay(svc), RollingOut: rollingOut(snap),
	}
}

// rollingOut returns the revisions that a rollout under way moves traffic between, or
// would go back to.
func rollingOut(snap *traffic.Snapshot) []string {
	state := rollout.StateOf(snap)
	if state == nil || !state.Active() {
		return nil
	}
	names := []string{state.Candidate, state.Stable}
	for _, t := range slices.Concat(state.Before, state.Base) {
		names = append(names, t.Revision)
	}
	return names
}

// candidates returns the revisions as garbage collection sees them.
func (s *revisions) candidates() []revision.Revision {
	out := make([]revision.Revision, len(s.all))
	for i := range s.all {
		out[i] = revision.Revision{
			Revision:  s.known.Revisions[i],
			Preserved: strings.EqualFold(s.all[i].Annotations[serving.RevisionPreservedAnnotationKey], "true"),
		}
	}
	return out
}

// find returns a revision by its name; nil when there is none.
func (s *revisions) find(name string) *servingv1.Revision {
	i := slices.IndexFunc(s.all, func(r servingv1.Revision) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &s.all[i]
}
