package deploy

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Aborted is what Abort has done.
type Aborted struct {
	Revision string        // whose deploy was given up; it stays, without traffic
	Split    traffic.Split // that serves now
	Replaced bool          // somebody else has deployed since: that template stays
}

// Abort undoes a deploy that was interrupted while it waited: the former
// template and split come back. It is NotFound when there is none under way.
// A split that somebody has set since stays.
func Abort(ctx context.Context, cluster Cluster, service string, report progress.Reporter) (*Aborted, error) {
	svc, err := cluster.FindService(ctx, service)
	if err != nil {
		return nil, err
	}
	if svc == nil {
		return nil, fault.New(fault.NotFound, "deploy.abort", "service/"+service, "not found in namespace %s", cluster.Namespace())
	}
	r := recordOf(svc)
	if r != nil && r.Template == nil {
		return nil, fault.New(fault.Conflict, "deploy.abort", "service/"+service, "the template before %s was too large to be noted on it", r.Revision).
			WithHint("nothing was changed; deploy the former image and settings again; traffic: %s", knative.Spec(svc))
	}
	if r == nil {
		return nil, fault.New(fault.NotFound, "deploy.abort", "service/"+service, "no deploy of it is under way").
			WithHint("traffic: %s; earlier splits come back with `kn-lite traffic`", knative.Spec(svc))
	}
	last := svc.DeepCopy()
	last.Spec.Traffic = r.pinnedTraffic()
	d := &deployer{
		cluster: cluster, spec: Spec{Service: service}, opts: Options{Report: report},
		p: &plan{revision: r.Revision, former: r}, last: last,
	}
	left := d.undo(ctx)
	if left.err != nil {
		return nil, left.err
	}
	if left.svc == nil {
		return nil, fault.New(fault.NotFound, "deploy.abort", "service/"+service, "it was deleted meanwhile")
	}
	if left.pinned {
		report.Warn(d.pinnedNow())
	}
	if left.named != nil {
		report.Warn(stillNamed(r.Former, left.named))
	}
	return &Aborted{Revision: r.Revision, Split: knative.Snapshot(left.svc).Named(), Replaced: left.replaced}, nil
}
