package deploy

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Writing competes with other writers for so long, and undoing gets so long
// even after the deploy's own time is over.
const (
	writeTimeout = time.Minute
	undoTimeout  = 20 * time.Second
)

// Run deploys spec. The error's kind says how far it came: Partial when the
// revision exists, is not ready and never got traffic; RolledBack when traffic
// had moved and is back; Timeout when time ran out first. An interrupt (ctx
// cancelled) undoes nothing: the error says what is there and how to go on.
func Run(ctx context.Context, cluster Cluster, spec Spec, opts Options) (*Result, error) {
	d := &deployer{cluster: cluster, spec: spec, opts: opts}
	p, err := d.write(ctx)
	if err != nil {
		return nil, d.cutShort(ctx, err)
	}
	switch {
	case d.opts.DryRun && p.next != nil:
		return d.result(p.live, p.next), nil
	case d.opts.DryRun:
		return d.result(p.live, p.live), nil
	case p.outcome == Unchanged:
		return d.result(p.live, p.live), nil
	case d.opts.NoWait:
		return d.result(p.live, p.live), nil
	}
	if err := d.becomeReady(ctx); err != nil {
		return nil, err
	}
	svc, err := d.shift(ctx)
	if err != nil {
		return nil, err
	}
	if svc, err = d.becomeRouted(ctx, svc); err != nil {
		return nil, err
	}
	r := d.result(svc, svc)
	r.Ready = true
	return r, nil
}

// deployer is one Run.
type deployer struct {
	cluster Cluster
	spec    Spec
	opts    Options
	p       *plan
	// last is the service as this run wrote it last. What differs from it now
	// was somebody else's doing.
	last *servingv1.Service
}

func (d *deployer) result(svc, object *servingv1.Service) *Result {
	r := &Result{Outcome: d.p.outcome, Revision: d.p.revision, Image: d.spec.Image, Service: object, Ready: d.p.outcome == Unchanged}
	if svc == nil {
		return r
	}
	r.Split = SplitOf(svc.Spec.Traffic).Normal()
	if svc.Status.URL != nil {
		r.URL = svc.Status.URL.String()
	}
	for _, t := range svc.Status.Traffic {
		if t.Tag != "" && t.Tag == d.spec.Tag && t.URL != nil {
			r.TagURL = t.URL.String()
		}
	}
	return r
}

// write plans and writes until nobody else has written in between. The new
// plan sees what the others did: their revision numbers are taken, and their
// state is what a failure goes back to.
func (d *deployer) write(ctx context.Context) (*plan, error) {
	bounded, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		p, err := d.plan(bounded)
		if err != nil {
			return nil, err
		}
		d.p = p
		if p.next == nil {
			d.last = p.live
			return p, nil
		}
		var written *servingv1.Service
		if p.live == nil {
			written, err = d.cluster.CreateService(bounded, p.next, d.opts.DryRun)
		} else {
			written, err = d.cluster.UpdateService(bounded, p.next, d.opts.DryRun)
		}
		switch {
		case err == nil && d.opts.DryRun:
			p.next = written
			return p, nil
		case err == nil:
			p.live, d.last = written, written
			return p, nil
		case fault.KindOf(err) != fault.Conflict:
			return nil, err
		}
		if err := pause(bounded, attempt); err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			return nil, fault.New(fault.Conflict, "deploy.write", "service/"+d.spec.Service, "others kept changing it for %s", writeTimeout).
				WithHint("nothing was changed; try again")
		}
	}
}

// becomeReady waits for the revision, and undoes the deploy when it fails.
func (d *deployer) becomeReady(ctx context.Context) error {
	stage := d.opts.Report.Begin("wait for " + d.p.revision)
	finding, err := d.awaitRevision(ctx, stage)
	if err == nil && finding == nil {
		stage.Done(d.p.revision + " is ready")
		return nil
	}
	stage.Fail()
	subject := "revision/" + d.p.revision
	switch {
	case ctx.Err() != nil:
		return d.interrupted(ctx, finding)
	case errors.Is(err, context.DeadlineExceeded):
		e := fault.New(fault.Timeout, "deploy.wait", subject, "not ready after %s: %s", d.timeout(), finding.Cause)
		return e.WithHint("%s", d.advice(finding, d.undo(ctx)))
	case err != nil:
		// Watching itself broke: the revision may well become ready.
		return d.unknown(err)
	}
	e := fault.New(fault.Partial, "deploy.wait", subject, "%s", finding.Cause)
	return e.WithHint("%s", d.advice(finding, d.undo(ctx)))
}

// shift gives the revision its traffic. The split may have been changed by
// others while this deploy waited; their tags and shares are kept as far as
// the request allows.
func (d *deployer) shift(ctx context.Context) (*servingv1.Service, error) {
	bounded, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		svc, err := d.cluster.FindService(bounded, d.spec.Service)
		if err != nil {
			return nil, d.afterReady(ctx, err)
		}
		if svc == nil {
			return nil, fault.New(fault.NotFound, "deploy.shift", "service/"+d.spec.Service, "it was deleted while its revision %s became ready", d.p.revision)
		}
		next, changed := d.shifted(svc)
		if !changed {
			return svc, nil
		}
		written, err := d.cluster.UpdateService(bounded, next, false)
		switch {
		case err == nil:
			d.last = written
			return written, nil
		case fault.KindOf(err) != fault.Conflict:
			return nil, d.afterReady(ctx, err)
		}
		if err := pause(bounded, attempt); err != nil {
			return nil, d.afterReady(ctx, err)
		}
	}
}

// shifted is svc with the traffic moved and the record of this deploy gone.
func (d *deployer) shifted(svc *servingv1.Service) (*servingv1.Service, bool) {
	next := svc.DeepCopy()
	changed := false
	later := recordOf(svc)
	if later != nil && later.Revision == d.p.revision {
		delete(next.Annotations, recordKey)
		later, changed = nil, true
	}
	if d.overtaken(svc) {
		d.opts.Report.Note("a later deploy has moved the traffic on; it stays there")
		return next, changed
	}
	former := SplitOf(svc.Spec.Traffic).Normal()
	now := former
	if !d.p.traffic.Keep {
		// A share that follows the latest revision is at this one already.
		now = unfollow(now, d.p.revision)
	}
	split := finalSplit(now, d.p.revision, d.p.traffic, d.spec.Tag)
	if split.Equal(former) {
		return next, changed
	}
	next.Spec.Traffic = TargetsOf(split)
	if later != nil && later.Template != nil && svc.Spec.Template.Name != d.p.revision {
		// A later deploy is under way. If it fails, what it goes back to is this
		// revision, which works and serves, and not what was before both.
		later.Template, later.Traffic = d.p.live.Spec.Template.DeepCopy(), next.Spec.Traffic
		later.write(next)
	}
	next.Annotations = put(next.Annotations, traffic.HistoryKey, traffic.Remember(svc.Annotations[traffic.HistoryKey], former, d.opts.Now()))
	return next, true
}

// overtaken tells whether a deploy that began later than this one has its
// traffic already: going back behind it would be wrong.
func (d *deployer) overtaken(svc *servingv1.Service) bool {
	mine := number(d.spec.Service, d.p.revision)
	if mine == 0 || svc.Spec.Template.Name == d.p.revision {
		return false
	}
	for _, t := range SplitOf(svc.Spec.Traffic) {
		if t.Percent > 0 && number(d.spec.Service, t.Revision) > mine {
			return true
		}
	}
	return false
}

// undo brings the former template and split back. It works also when ctx has
// ended, and reports what the cluster is left with.
func (d *deployer) undo(ctx context.Context) state {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		svc, err := d.cluster.FindService(bounded, d.spec.Service)
		if err != nil {
			return state{err: err}
		}
		if svc == nil {
			return state{gone: true}
		}
		next, changed := undone(svc, d.last, d.p)
		if !changed {
			return state{svc: svc}
		}
		written, err := d.cluster.UpdateService(bounded, next, false)
		if err == nil {
			return state{svc: written, restored: true}
		}
		if fault.KindOf(err) != fault.Conflict || pause(bounded, attempt) != nil {
			return state{svc: svc, err: err}
		}
	}
}

// undone is svc as it was before p; last is what p wrote last. When somebody
// else has deployed since, the template is theirs and stays; a split or labels
// that were changed since stay too.
func undone(svc, last *servingv1.Service, p *plan) (*servingv1.Service, bool) {
	former := p.former
	if former == nil || former.Template == nil {
		return svc, false
	}
	next := svc.DeepCopy()
	if r := recordOf(svc); r != nil && r.Revision == p.revision {
		// Another deploy that began earlier may have succeeded since, and noted it.
		former = r
		delete(next.Annotations, recordKey)
	}
	if svc.Spec.Template.Name == p.revision {
		next.Spec.Template = *former.Template.DeepCopy()
		if equality.Semantic.DeepEqual(metadata(svc), metadata(last)) {
			next.Labels = former.Labels
			next.Annotations = former.annotations(next.Annotations)
		}
	}
	if SplitOf(svc.Spec.Traffic).Equal(SplitOf(last.Spec.Traffic)) {
		next.Spec.Traffic = former.Traffic
	}
	return next, !equality.Semantic.DeepEqual(svc, next)
}

func pause(ctx context.Context, attempt int) error {
	longest := min(20*time.Millisecond<<min(attempt, 10), time.Second)
	timer := time.NewTimer(longest/2 + rand.N(longest/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
