package deploy

import (
	"context"
	"slices"

	"github.com/kn-lite/kn-lite/internal/knative"
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
	now := knative.Spec(p.live)
	if p.former != nil {
		now = knative.Split(p.former.pinnedTraffic())
	}
	named := *p
	if named.revision == "" {
		named.revision = "new" // Knative chooses the name
	}
	final := d.finalSplit(&named, now)
	if p.next != nil {
		whole := p.next.DeepCopy()
		whole.Spec.Traffic = knative.Targets(final)
		if err := validate(whole); err != nil {
			return err
		}
	}
	revisions, err := d.cluster.ListRevisions(ctx, d.spec.Service)
	if err != nil {
		return err
	}
	known := traffic.Known{Service: d.spec.Service, LatestReady: p.live.Status.LatestReadyRevisionName, Split: now, Revisions: knative.Revisions(revisions)}
	for i := range revisions {
		known.Revisions[i].State = traffic.State(stateOf(&revisions[i])) // of its present generation
	}
	others := slices.DeleteFunc(slices.Clone(final), func(t traffic.Target) bool { return t.Latest || t.Revision == named.revision })
	return traffic.CheckReady(known, others)
}
