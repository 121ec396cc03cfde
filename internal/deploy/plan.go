package deploy

import (
	"context"
	"encoding/json"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// record is on the service, as an annotation, while a deploy is under way. It
// is the whole of what is needed to finish or to undo it, by whoever comes
// next: this process, or another one after this was killed.
type record struct {
	Revision string                          `json:"revision"`           // that is being waited for
	Template *servingv1.RevisionTemplateSpec `json:"template,omitempty"` // before
	Traffic  []servingv1.TrafficTarget       `json:"traffic,omitempty"`  // before

	Labels      map[string]string `json:"labels,omitempty"`      // before
	Annotations map[string]string `json:"annotations,omitempty"` // before, without kn-lite's own logs
}

// recordOf reads the annotation; nil when there is none, or none that can be
// read: then nothing is undone, which is the safe side.
func recordOf(svc *servingv1.Service) *record {
	var r record
	if svc == nil || json.Unmarshal([]byte(svc.Annotations[recordKey]), &r) != nil {
		return nil
	}
	return &r
}

func (r *record) write(svc *servingv1.Service) {
	// API objects marshal: they came from JSON.
	raw, _ := json.Marshal(r)
	svc.Annotations = put(svc.Annotations, recordKey, string(raw))
}

// annotations is the former annotations with those that are a log of what has
// happened, which only ever grows.
func (r *record) annotations(now map[string]string) map[string]string {
	out := maps.Clone(r.Annotations)
	if log := now[traffic.HistoryKey]; log != "" {
		out = put(out, traffic.HistoryKey, log)
	}
	return out
}

// plan is what a deploy will do, decided from one reading of the cluster.
type plan struct {
	live     *servingv1.Service // nil: there is none
	next     *servingv1.Service // what to write, nil: nothing
	revision string             // whose fate is reported
	isNew    bool               // the revision does not exist yet
	fresh    bool               // nothing has ever served
	traffic  Traffic            // what to do once the revision is ready
	former   *record            // to go back to; nil: nothing worth it
	outcome  Outcome
}

// plan reads the service and decides.
func (d *deployer) plan(ctx context.Context) (*plan, error) {
	live, err := d.cluster.FindService(ctx, d.spec.Service)
	if err != nil {
		return nil, err
	}
	if live != nil && live.DeletionTimestamp != nil {
		return nil, fault.New(fault.Conflict, "deploy.plan", "service/"+live.Name, "it is being deleted").
			WithHint("wait until it is gone and deploy again")
	}
	desired, err := Desired(live, d.spec)
	if err != nil {
		return nil, err
	}
	p := &plan{live: live, traffic: d.spec.Traffic, fresh: live == nil || live.Status.LatestReadyRevisionName == ""}
	if live != nil && sameTemplate(live, desired) {
		done, err := d.planSame(ctx, p, desired)
		if done || err != nil {
			return p, err
		}
	}
	return p, d.planNew(ctx, p, desired)
}

// planSame is for a template that is there already. It reports false when the
// revision has failed: Knative does not try a failed revision again, a new one
// has to be made.
func (d *deployer) planSame(ctx context.Context, p *plan, desired *servingv1.Service) (bool, error) {
	p.revision = p.live.Spec.Template.Name
	if p.revision == "" {
		p.revision = p.live.Status.LatestCreatedRevisionName
	}
	rev, err := d.cluster.FindRevision(ctx, p.revision)
	if err != nil || stateOf(rev) == corev1.ConditionFalse {
		return false, err
	}
	r := recordOf(p.live)
	interrupted := r != nil && r.Revision == p.revision
	p.outcome = Moved
	if interrupted {
		p.outcome, p.former = Updated, r
	}
	if !interrupted && !d.spec.Traffic.Partial {
		// What was decided about the traffic since then stays decided.
		p.traffic = Traffic{Keep: true}
	}
	if !equality.Semantic.DeepEqual(metadata(p.live), metadata(desired)) {
		p.next = desired
		p.next.Spec.Template.Name = p.live.Spec.Template.Name
		p.next.Spec.Template.Annotations = p.live.Spec.Template.Annotations
		return true, nil
	}
	now := SplitOf(p.live.Spec.Traffic).Normal()
	if !interrupted && stateOf(rev) == corev1.ConditionTrue && finalSplit(now, p.revision, p.traffic, d.spec.Tag).Equal(now) {
		p.outcome = Unchanged
	}
	return true, nil
}

// planNew is for a template that needs a revision of its own.
func (d *deployer) planNew(ctx context.Context, p *plan, desired *servingv1.Service) error {
	name, err := d.name(ctx, p.live)
	if err != nil {
		return err
	}
	p.revision, p.isNew, p.outcome, p.next = name, true, Updated, desired
	desired.Spec.Template.Name = name
	delete(desired.Annotations, recordKey)
	if p.live == nil {
		p.outcome = Created
	}
	switch {
	case p.fresh:
		// There is nothing to protect: Knative itself routes to the revision
		// once it is ready.
		desired.Spec.Traffic = TargetsOf(finalSplit(nil, name, Traffic{}, d.spec.Tag))
	case d.opts.NoWait:
		// Nobody will be here to move the traffic; Knative's route does it, as
		// it takes up a split only when every revision in it is ready.
		desired.Spec.Traffic = TargetsOf(finalSplit(pinned(p.live), name, d.spec.Traffic, d.spec.Tag))
	default:
		desired.Spec.Traffic = TargetsOf(pinned(p.live))
		former, err := d.former(ctx, p.live)
		if err != nil {
			return err
		}
		former.Revision, p.former = name, &former
		former.write(desired)
	}
	return nil
}

// former is the state to go back to. When another deploy is under way, or was
// killed, and its revision is not ready, it is what that deploy would go back
// to: nobody wants to be brought back to a revision that never worked.
func (d *deployer) former(ctx context.Context, live *servingv1.Service) (record, error) {
	meta := metadata(live)
	now := record{Template: live.Spec.Template.DeepCopy(), Traffic: live.Spec.Traffic, Labels: meta[0], Annotations: meta[1]}
	other := recordOf(live)
	if other == nil || other.Template == nil || other.Revision != live.Spec.Template.Name {
		return now, nil
	}
	rev, err := d.cluster.FindRevision(ctx, other.Revision)
	if err != nil {
		return record{}, err
	}
	if stateOf(rev) == corev1.ConditionTrue {
		return now, nil
	}
	return *other, nil
}

// name decides what the new revision is called.
func (d *deployer) name(ctx context.Context, live *servingv1.Service) (string, error) {
	if d.spec.Revision != "" {
		name := fullName(d.spec.Service, d.spec.Revision)
		rev, err := d.cluster.FindRevision(ctx, name)
		if err == nil && rev != nil {
			err = fault.New(fault.Conflict, "deploy.name", "revision/"+name, "exists already, with another content").
				WithHint("revisions never change; choose another name, or leave --revision out to get the next number")
		}
		return name, err
	}
	revisions, err := d.cluster.ListRevisions(ctx, d.spec.Service)
	if err != nil {
		return "", err
	}
	// A revision with that name may belong to another service, e.g. v1 of
	// "a-b" and "b-v1" of "a". There are few of those, so this ends soon.
	name := nextName(d.spec.Service, live, revisions)
	for {
		rev, err := d.cluster.FindRevision(ctx, name)
		if err != nil || rev == nil {
			return name, err
		}
		name = numbered(d.spec.Service, number(d.spec.Service, name)+1)
	}
}

// sameTemplate tells whether two services ask for the same revision. Its name
// does not count, nor does what an image is called as long as it is the same
// by digest.
func sameTemplate(live, desired *servingv1.Service) bool {
	return equality.Semantic.DeepEqual(essence(live), essence(desired))
}

func essence(svc *servingv1.Service) servingv1.RevisionTemplateSpec {
	c := svc.DeepCopy()
	// What the webhook would fill in is no difference.
	c.SetDefaults(context.Background())
	t := c.Spec.Template
	t.Name = ""
	delete(t.Annotations, UserImageKey)
	return t
}

// metadata is the labels and annotations that users see as theirs.
func metadata(svc *servingv1.Service) [2]map[string]string {
	c := svc.DeepCopy()
	for _, own := range []string{recordKey, traffic.HistoryKey} {
		delete(c.Annotations, own)
	}
	return [2]map[string]string{c.Labels, c.Annotations}
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
