package deploy

import (
	"context"
	"slices"
	"strconv"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// checkPlan refuses, before anything is written, a plan whose last step would
// fail: Knative's own rules for the service as it is going to be, and a split
// that names revisions which are gone or not ready.
func (d *deployer) checkPlan(ctx context.Context, p *plan) error {
	if p.isNew && !d.opts.NoWait { // what is not waited for may get its secrets later
		if err := checkReferences(ctx, d.cluster, &p.next.Spec.Template.Spec.PodSpec); err != nil {
			return err
		}
	}
	if p.live == nil || p.fresh || p.outcome == Unchanged {
		if p.next == nil {
			return nil
		}
		return validate(p.next)
	}
	now := SplitOf(p.live.Spec.Traffic).Normal()
	if p.former != nil {
		now = SplitOf(p.former.pinnedTraffic())
	}
	named := *p
	if named.revision == "" {
		named.revision = "new" // Knative chooses the name
	}
	final := d.finalSplit(&named, now)
	if p.next != nil {
		whole := p.next.DeepCopy()
		whole.Spec.Traffic = TargetsOf(final)
		if err := validate(whole); err != nil {
			return err
		}
	}
	revisions, err := d.cluster.ListRevisions(ctx, d.spec.Service)
	if err != nil {
		return err
	}
	known := traffic.Known{Service: d.spec.Service, LatestReady: p.live.Status.LatestReadyRevisionName, Split: now}
	for i := range revisions {
		known.Revisions = append(known.Revisions, knownRevision(&revisions[i]))
	}
	others := slices.DeleteFunc(slices.Clone(final), func(t traffic.Target) bool { return t.Latest || t.Revision == named.revision })
	return traffic.CheckReady(known, others)
}

func knownRevision(rev *servingv1.Revision) traffic.Revision {
	out := traffic.Revision{Name: rev.Name, Created: rev.CreationTimestamp.Time, State: traffic.State(stateOf(rev))}
	out.Generation, _ = strconv.ParseInt(rev.Labels[generationLabel], 10, 64)
	if c := rev.Status.GetCondition(servingv1.RevisionConditionReady); c != nil {
		out.Reason, out.Message = c.Reason, c.Message
	}
	return out
}
