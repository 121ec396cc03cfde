package deploy

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// plan is what a deploy will do, decided from one reading of the cluster.
type plan struct {
	live     *servingv1.Service // nil: there is none
	next     *servingv1.Service // what to write, nil: nothing
	revision string             // whose fate is reported
	isNew    bool               // the revision does not exist yet
	names    bool               // the name in the template is this deploy's own
	fresh    bool               // nothing has ever served
	newTag   bool               // the tag that is asked for has no URL yet
	traffic  traffic.Shift      // what to do once the revision is ready
	former   *record            // to go back to; nil: nothing worth it
	aside    *released          // the live template is a preview's; nil: it is not
	outcome  Outcome
}

// plan reads the service and decides.
func (d *deployer) plan(ctx context.Context) (*plan, error) {
	live, err := settled(ctx, d.cluster, d.spec.Service)
	if err != nil {
		return nil, err
	}
	if live != nil && live.DeletionTimestamp != nil {
		return nil, fault.New(fault.Conflict, "deploy.plan", "service/"+live.Name, "it is being deleted").
			WithHint("wait until it is gone and deploy again")
	}
	var current *servingv1.Revision // of the live template
	if live != nil {
		if current, err = currentRevision(ctx, d.cluster, live); err != nil {
			return nil, err
		}
	}
	aside := releasedBefore(live, current)
	desired, err := Desired(aside.under(live), d.spec)
	if err != nil {
		return nil, err
	}
	p := &plan{live: live, aside: aside, traffic: d.spec.Traffic, fresh: live == nil || live.Status.LatestReadyRevisionName == ""}
	if live != nil {
		p.newTag = d.spec.Tag != "" && knative.Split(live.Spec.Traffic).Tagged(d.spec.Tag) < 0
	}
	if err := d.decide(ctx, p, current, desired); err != nil {
		return nil, err
	}
	return p, d.checkPlan(ctx, p)
}

// decide fills in what the plan does.
func (d *deployer) decide(ctx context.Context, p *plan, current *servingv1.Revision, desired *servingv1.Service) error {
	// Knative does not try a failed revision again; a new one has to be made.
	if current != nil && sameTemplate(p.live, desired) && stateOf(current) != corev1.ConditionFalse && !d.renames(current) {
		d.planSame(p, current, desired)
		return nil
	}
	return d.planNew(ctx, p, current, desired)
}

// renames reports whether the user wants another name than rev has.
func (d *deployer) renames(rev *servingv1.Revision) bool {
	return d.spec.Revision != "" && fullName(d.spec.Service, d.spec.Revision) != rev.Name
}

// currentRevision returns the revision of the live template, or nil when
// Knative has made none of it.
func currentRevision(ctx context.Context, cluster Cluster, live *servingv1.Service) (*servingv1.Revision, error) {
	name := live.Spec.Template.Name
	if name == "" {
		name = live.Status.LatestCreatedRevisionName
	}
	if name == "" {
		return nil, nil
	}
	rev, err := cluster.FindRevision(ctx, name)
	if err != nil || !isTemplateOf(&live.Spec.Template, rev) {
		return nil, err
	}
	return rev, nil
}

// planSame is for a template that is there already.
func (d *deployer) planSame(p *plan, current *servingv1.Revision, desired *servingv1.Service) {
	p.revision = current.Name
	r := recordOf(p.live)
	interrupted := r != nil && r.Revision == p.revision
	p.outcome = Moved
	if interrupted {
		p.outcome, p.former, p.names = Updated, r, true
	}
	if !interrupted && !d.spec.Traffic.Partial && !d.takesPreview(p) {
		// What was decided about the traffic since then stays decided.
		p.traffic = traffic.Shift{Keep: true}
	}
	if !equality.Semantic.DeepEqual(metadata(p.live), metadata(desired)) {
		p.next = desired
		p.next.Spec.Template.Name = p.live.Spec.Template.Name
		p.next.Spec.Template.Annotations = p.live.Spec.Template.Annotations
		return
	}
	now := knative.Spec(p.live)
	if !interrupted && stateOf(current) == corev1.ConditionTrue && d.finalSplit(p, now).Equal(now) {
		p.outcome = Unchanged
	}
}

// finalSplit returns the split for when the revision of p is ready.
func (d *deployer) finalSplit(p *plan, now traffic.Split) traffic.Split {
	want := p.traffic
	if !want.Keep {
		// A share that follows the latest revision is at this one already.
		now = now.Unfollow(p.revision)
	}
	// Whoever let new revisions have the traffic by themselves finds it so again.
	want.Follow = want == traffic.Shift{} && (p.fresh || p.former != nil && p.former.follows())
	return now.Shift(p.revision, want, d.spec.Tag)
}

// planNew is for a template that needs a revision of its own. The live
// template is that of current, if Knative has made a revision of it.
func (d *deployer) planNew(ctx context.Context, p *plan, current *servingv1.Revision, desired *servingv1.Service) error {
	name, err := d.name(ctx, p.live, desired)
	if err != nil {
		return err
	}
	p.revision, p.isNew, p.names, p.outcome, p.next = name, true, name != "", Updated, desired
	d.noteReleased(p, desired)
	desired.Spec.Template.Name = name
	if p.live == nil {
		p.outcome = Created
	}
	if p.fresh {
		// There is nothing to protect: Knative itself routes to the revision
		// once it is ready.
		p.traffic = traffic.Shift{}
		p.next = knative.Apply(desired, traffic.Change{Split: firstSplit(p.live, name, d.spec.Tag)}.Remove(traffic.DeployKey))
		return nil
	}
	former, err := d.former(ctx, p.live, current)
	if err != nil {
		return err
	}
	p.former = &former
	if d.opts.NoWait && name != "" {
		// Nobody will be here to move the traffic; Knative's route does it, as
		// it takes up a split only when every revision in it is ready.
		p.next = knative.Apply(desired, traffic.Change{Split: d.finalSplit(p, knative.Split(former.Pinned))}.Remove(traffic.DeployKey))
		return nil
	}
	former.Revision = name
	former.noteMetadata(p.live, desired)
	p.next = knative.Apply(desired, former.addTo(traffic.Change{Split: knative.Split(former.Pinned)}, desired))
	return nil
}

// firstSplit returns the split of a service that nothing serves yet: all of it
// to whichever revision is the latest. Names in its split lead to revisions
// that were never ready and would hold up the route.
func firstSplit(live *servingv1.Service, revision, tag string) traffic.Split {
	split := traffic.Split{{Latest: true, Percent: 100}}
	if live != nil {
		for _, t := range knative.Spec(live) {
			if t.Latest && t.Tag != "" {
				t.Percent = 0
				split = append(split, t)
			}
		}
	}
	if revision == "" {
		tag = "" // it is given once the name is known
	}
	return split.Shift(revision, traffic.Shift{Keep: true}, tag)
}

// former returns the state to go back to. When another deploy is under way, or
// was killed, and its revision is not ready, it is what that deploy would go
// back to: nobody wants to be brought back to a revision that never worked.
func (d *deployer) former(ctx context.Context, live *servingv1.Service, current *servingv1.Revision) (record, error) {
	now := newRecord(live, current)
	other := recordOf(live)
	if other == nil || other.Template == nil {
		return now, nil
	}
	its, err := asksFor(ctx, d.cluster, live, other.Revision)
	if err != nil {
		return record{}, err
	}
	if its && stateOf(current) != corev1.ConditionTrue {
		return *other, nil
	}
	if knative.Split(live.Spec.Traffic).Equal(knative.Split(other.Pinned)) {
		// Pinned by that deploy, and only for as long as it takes.
		now.Traffic, now.Serving = other.Traffic, other.Serving
	}
	return now, nil
}

// name decides what the new revision is called.
func (d *deployer) name(ctx context.Context, live, desired *servingv1.Service) (string, error) {
	if d.spec.Revision != "" {
		name := fullName(d.spec.Service, d.spec.Revision)
		rev, err := d.cluster.FindRevision(ctx, name)
		if err != nil || rev == nil {
			return name, err
		}
		return name, reusable(rev, desired)
	}
	revisions, err := d.cluster.ListRevisions(ctx, d.spec.Service)
	if err != nil {
		return "", err
	}
	// A revision with that name may belong to another service, e.g. v1 of
	// "a-b" and "b-v1" of "a". There are few of those, so this ends soon.
	name := nextName(d.spec.Service, live, revisions)
	for {
		if len(name) > longestName {
			return "", nil // no name that begins with the service's fits: Knative has its own way
		}
		rev, err := d.cluster.FindRevision(ctx, name)
		if err != nil || rev == nil {
			return name, err
		}
		name = numbered(d.spec.Service, number(d.spec.Service, name)+1)
	}
}

// reusable is an error unless rev is what the template of desired asks for:
// then Knative takes it as it is, and it only needs the traffic.
func reusable(rev *servingv1.Revision, desired *servingv1.Service) error {
	if owner := rev.Labels[revisionServiceLabel]; owner != desired.Name {
		return fault.New(fault.Conflict, "deploy.name", "revision/"+rev.Name, "exists already, and belongs to the service %q", owner).
			WithHint("choose another name, or none to get the next number")
	}
	if !isTemplateOf(&desired.Spec.Template, rev) {
		return fault.New(fault.Conflict, "deploy.name", "revision/"+rev.Name, "exists already, with another image or other settings").
			WithHint("revisions never change; choose another name, or none to get the next number\nto route to it as it is: `kn-lite traffic split %s %s=100`", desired.Name, rev.Name)
	}
	if stateOf(rev) == corev1.ConditionFalse {
		return fault.New(fault.Conflict, "deploy.name", "revision/"+rev.Name, "exists already and has failed; Knative does not try it again").
			WithHint("choose another name, or none to get the next number")
	}
	return nil
}

// stateOf is a revision's Ready condition, as far as it is about its present
// generation; Unknown for a revision that does not exist yet.
func stateOf(rev *servingv1.Revision) corev1.ConditionStatus {
	if rev == nil || rev.Status.ObservedGeneration != rev.Generation {
		return corev1.ConditionUnknown
	}
	ready := rev.Status.GetCondition(servingv1.RevisionConditionReady)
	if ready == nil {
		return corev1.ConditionUnknown
	}
	return ready.Status
}
