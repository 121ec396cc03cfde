package deploy

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// undo brings the former template and split back. It works also when ctx has
// ended, and reports what the cluster is left with.
//
// Bringing a template back makes Knative create a revision of it, unless the
// template names the one that there is. So it comes back with that name, which
// is taken out afterwards (see unname); and only when it is certain that the
// latest revision is the one that it was does the traffic follow it again.
func (d *deployer) undo(ctx context.Context) state {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), backTimeout)
	defer cancel()
	var replaced, restored bool
	back := func(ctx context.Context, svc *servingv1.Service) (*servingv1.Service, error) {
		former := d.formerOf(svc)
		if former == nil || former.Template == nil {
			return svc, nil
		}
		ours, err := asksFor(ctx, d.cluster, svc, d.p.revision)
		if err != nil {
			return nil, err
		}
		replaced, restored = !ours, ours
		return d.back(ctx, svc, former, ours)
	}
	s := d.goBack(bounded, back)
	if s.err != nil || s.svc == nil {
		return s
	}
	var named error
	if r := d.formerOf(s.svc); r != nil && r.Former != "" && s.svc.Spec.Template.Name == r.Former && r.Template.Name == "" {
		named = unname(bounded, d.cluster, d.spec.Service, r.Former)
	}
	done := d.rewrite(bounded, func(ctx context.Context, svc *servingv1.Service) (*servingv1.Service, error) {
		return d.finish(ctx, svc, replaced)
	})
	if done.svc == nil || done.err != nil {
		return done
	}
	done.restored, done.replaced, done.named = restored, replaced, named
	if r := d.p.former; (restored || replaced) && r != nil && r.follows() && !knative.Spec(done.svc).Follows() {
		done.pinned = true
	}
	d.disown(bounded)
	return done
}

// goBack writes the former template. Where it cannot have the name of its
// revision, because that one does not begin with the service's, Knative is made
// to take the revision for it without a name.
func (d *deployer) goBack(ctx context.Context, back func(context.Context, *servingv1.Service) (*servingv1.Service, error)) state {
	former := d.p.former
	if former == nil || former.Former == "" || former.Template == nil || former.Template.Name != "" || nameable(d.spec.Service, former.Former) {
		return d.rewrite(ctx, back)
	}
	svc, err := settled(ctx, d.cluster, d.spec.Service)
	if err != nil || svc == nil {
		return state{err: err, gone: err == nil}
	}
	config, err := d.cluster.FindConfiguration(ctx, d.spec.Service)
	if err != nil || config == nil {
		return state{svc: svc, err: err}
	}
	rev, err := d.cluster.FindRevision(ctx, former.Former)
	if err != nil || rev == nil {
		return state{svc: svc, err: err}
	}
	var s state
	err = claim(ctx, d.cluster, d.spec.Service, rev, config.Generation+1, func() (bool, error) {
		s = d.rewrite(ctx, back)
		return s.restored, s.err
	})
	if s.err == nil {
		s.err = err
	}
	return s
}

// nameable reports whether Knative accepts a revision's name in a template.
func nameable(service, revision string) bool { return strings.HasPrefix(revision, service+"-") }

// rewrite changes the service until nobody else has written in between.
func (d *deployer) rewrite(ctx context.Context, change func(context.Context, *servingv1.Service) (*servingv1.Service, error)) state {
	for attempt := 0; ; attempt++ {
		svc, err := d.cluster.FindService(ctx, d.spec.Service)
		if fault.KindOf(err) == fault.Transient && pause(ctx, attempt) == nil {
			continue // an API server that is away may come back
		}
		if err != nil {
			return state{err: err}
		}
		if svc == nil {
			return state{gone: true}
		}
		next, err := change(ctx, svc)
		if err != nil {
			return state{svc: svc, err: err}
		}
		if equality.Semantic.DeepEqual(svc, next) {
			return state{svc: svc}
		}
		written, err := d.cluster.UpdateService(ctx, next, false)
		if err == nil {
			d.last = written
			return state{svc: written, restored: true}
		}
		if fault.KindOf(err) != fault.Conflict || pause(ctx, attempt) != nil {
			return state{svc: svc, err: err}
		}
	}
}

// back returns svc with the former template, if it has ours, and its traffic
// pinned as it served. A template that somebody else has deployed since is
// theirs and stays; a split or labels that were changed since stay too. The
// record stays until all of it is done.
func (d *deployer) back(ctx context.Context, svc *servingv1.Service, former *record, ours bool) (*servingv1.Service, error) {
	next := svc.DeepCopy()
	if ours {
		template, err := d.formerTemplate(ctx, former)
		if err != nil {
			return nil, err
		}
		next.Spec.Template = *template
		if equality.Semantic.DeepEqual(metadata(svc), metadata(d.last)) {
			next.Labels = restore(next.Labels, former.Labels)
			next.Annotations = restore(next.Annotations, former.Annotations)
		}
	}
	if knative.Split(svc.Spec.Traffic).Equal(knative.Split(d.last.Spec.Traffic)) {
		next.Spec.Traffic = former.pinnedTraffic()
	}
	if other := recordOf(svc); ours && (other == nil || other.Revision == d.p.revision) {
		next = knative.Apply(next, former.addTo(traffic.Change{}, next))
	}
	return next, nil
}

// formerTemplate returns the template to go back to, under the name of the
// revision that there is of it.
func (d *deployer) formerTemplate(ctx context.Context, former *record) (*servingv1.RevisionTemplateSpec, error) {
	template, err := former.template(ctx, d.cluster)
	if err != nil || template.Name != "" || former.Former == "" {
		return template, err
	}
	rev, err := d.cluster.FindRevision(ctx, former.Former)
	if err == nil && isTemplateOf(template, rev) && nameable(d.spec.Service, rev.Name) {
		template.Name = rev.Name
	}
	return template, err
}

// finish removes the record, and lets the traffic follow the latest revision
// again if it did before and that is still the one that served, or one that
// somebody else has deployed since.
func (d *deployer) finish(ctx context.Context, svc *servingv1.Service, replaced bool) (*servingv1.Service, error) {
	former := d.formerOf(svc)
	if former != nil && former.follows() {
		now, err := settled(ctx, d.cluster, svc.Name)
		if err == nil && now != nil && replaced {
			now, err = d.awaitTheirs(ctx, now)
		}
		if err != nil || now == nil {
			return svc, err
		}
		svc = now
	}
	next := svc.DeepCopy()
	if r := recordOf(svc); r != nil && r.Revision == d.p.revision {
		next = knative.Apply(svc, traffic.Change{}.Remove(traffic.DeployKey))
	}
	if former == nil || !knative.Split(svc.Spec.Traffic).Equal(knative.Split(former.pinnedTraffic())) {
		return next, nil
	}
	latest := svc.Status.LatestReadyRevisionName
	if !former.follows() || former.Serving != "" && latest == former.Serving || replaced && latest != d.p.revision {
		next.Spec.Traffic = former.Traffic
	}
	return next, nil
}

// awaitTheirs waits a while until the template that somebody else has deployed
// since has a revision that is ready: following the latest one before that would
// give the traffic to the revision that is being given up.
func (d *deployer) awaitTheirs(ctx context.Context, svc *servingv1.Service) (*servingv1.Service, error) {
	bounded, cancel := context.WithTimeout(ctx, controllerTimeout)
	defer cancel()
	err := poll(bounded, func() (bool, error) {
		if svc == nil || svc.Status.LatestReadyRevisionName != d.p.revision || svc.Status.LatestCreatedRevisionName == d.p.revision {
			return true, nil
		}
		now, err := d.cluster.FindService(bounded, d.spec.Service)
		if err == nil {
			svc = now
		}
		return false, err
	})
	if bounded.Err() != nil && ctx.Err() == nil {
		err = nil // it is not ready: the split stays as it is
	}
	return svc, err
}

// formerOf returns the state to go back to: what the service says, since
// another deploy that began earlier may have succeeded meanwhile and noted it.
func (d *deployer) formerOf(svc *servingv1.Service) *record {
	r, own := recordOf(svc), d.p.former
	switch {
	case r == nil || r.Revision != d.p.revision, r.Template == nil && own != nil:
		return own
	}
	return r
}

// pinnedTraffic returns the former split by name.
func (r *record) pinnedTraffic() []servingv1.TrafficTarget {
	if len(r.Pinned) == 0 {
		return r.Traffic // written by an earlier release
	}
	return r.Pinned
}
