package deploy

import (
	"context"
	"errors"
	"time"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/backoff"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Writing competes with other writers for so long, and undoing gets so long
// even after the deploy's own time is over.
const (
	writeTimeout = time.Minute
	undoTimeout  = 20 * time.Second
	backTimeout  = 90 * time.Second // several writes, and controllers to wait for
)

// Run deploys spec. The error's kind says how far it came: Partial when the
// revision exists, is not ready and never got traffic; RolledBack when traffic
// had moved and is back; Timeout when time ran out first. An interrupt (ctx
// cancelled) undoes nothing: the error says what is there and how to go on.
func Run(ctx context.Context, cluster Cluster, spec Spec, opts Options) (*Result, error) {
	d := &deployer{cluster: cluster, spec: spec, opts: opts}
	defer cluster.Attend(ctx)()
	p, err := d.write(ctx)
	if err != nil {
		return nil, d.cutShort(ctx, err)
	}
	switch {
	case d.opts.DryRun && p.next != nil:
		return d.result(p.live, p.next), nil
	case d.opts.DryRun, p.outcome == Unchanged:
		return d.result(p.live, p.live), nil
	}
	if r := recordOf(p.live); r != nil && r.Template == nil && p.former != nil && p.former.Template != nil {
		d.opts.Report.Warn("the annotations of " + d.spec.Service + " have no space for its former template: should this deploy be killed, it cannot be undone")
	}
	d.unname(ctx, false)
	if p.revision == "" {
		if err := d.learnName(ctx); err != nil {
			return nil, err
		}
	}
	if d.opts.NoWait {
		d.disown(ctx)
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
	d.unname(ctx, true)
	d.disown(ctx)
	r := d.result(svc, svc)
	r.Ready, r.Moves = true, !d.p.fresh && !d.p.newTag
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
	// unnameLater is set while the template has the revision's name for want of an answer.
	unnameLater bool
	foreseen    *Forecast // on a dry run
}

func (d *deployer) result(svc, object *servingv1.Service) *Result {
	r := &Result{Outcome: d.p.outcome, Revision: d.p.revision, Image: d.spec.Image, Service: object, Ready: d.p.outcome == Unchanged, Forecast: d.foreseen}
	if svc == nil {
		return r
	}
	r.Split = knative.Snapshot(svc).Named()
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
		if d.opts.DryRun {
			d.foreseen = d.forecast(p)
		}
		if p.next == nil || d.opts.DryRun && d.opts.Unchecked {
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
	task := d.opts.Report.Start("wait for "+d.p.revision, 0)
	finding, err := d.awaitRevision(ctx, task)
	if err == nil && finding == nil {
		task.Done(d.p.revision + " is ready")
		return nil
	}
	task.Fail()
	subject := "revision/" + d.p.revision
	switch {
	case ctx.Err() != nil:
		return d.interrupted(ctx, finding)
	case errors.Is(err, context.DeadlineExceeded) && d.cluster.Unreachable() != nil:
		return d.noAnswer(d.cluster.Unreachable(), "whether it has become ready is not known")
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
	bounded, cancel := context.WithTimeout(ctx, max(writeTimeout, d.timeout()))
	defer cancel()
	for attempt := 0; ; attempt++ {
		svc, err := d.cluster.FindService(bounded, d.spec.Service)
		if fault.KindOf(err) == fault.Transient && pause(bounded, attempt) == nil {
			continue // an API server that is away may come back
		}
		if err != nil {
			return nil, d.afterReady(ctx, err)
		}
		if svc == nil {
			return nil, fault.New(fault.NotFound, "deploy.shift", "service/"+d.spec.Service, "it was deleted while its revision %s became ready", d.p.revision)
		}
		change, err := d.shifted(bounded, svc)
		if err != nil {
			return nil, d.afterReady(ctx, err)
		}
		if change.IsEmpty() {
			return svc, nil
		}
		written, err := d.cluster.UpdateService(bounded, knative.Apply(svc, change), false)
		switch {
		case err == nil:
			d.last = written
			return written, nil
		case fault.KindOf(err) != fault.Conflict && fault.KindOf(err) != fault.Transient:
			return nil, d.afterReady(ctx, err)
		}
		// What has been written although the answer was lost is found the next time.
		if pause(bounded, attempt) != nil {
			return nil, d.afterReady(ctx, err)
		}
	}
}

// shifted returns the change that moves the traffic and removes the record of
// this deploy.
func (d *deployer) shifted(ctx context.Context, svc *servingv1.Service) (traffic.Change, error) {
	var change traffic.Change
	later := recordOf(svc)
	if later != nil && later.Revision == d.p.revision {
		change, later = change.Remove(traffic.DeployKey), nil
	}
	current, err := asksFor(ctx, d.cluster, svc, d.p.revision)
	if err != nil {
		return change, err
	}
	if !current && d.overtaken(svc) {
		d.opts.Report.Note("a later deploy has moved the traffic on; it stays there")
		return change, nil
	}
	former := knative.Snapshot(svc)
	split := d.finalSplit(d.p, former.Spec.Normal())
	if split.Equal(former.Spec.Normal()) {
		return change, nil
	}
	if later == nil || later.Template == nil || current {
		return former.Replace(split, d.opts.Now()).And(change), nil
	}
	// A later deploy is under way. If it fails, what it goes back to is this
	// revision, which works and serves, and not what was before both. Until
	// then its own revision gets nothing by being the latest.
	later.Former, later.Serving = d.p.revision, d.p.revision
	later.Template = d.p.live.Spec.Template.DeepCopy()
	later.Template.Name, later.Template.Spec = "", servingv1.RevisionSpec{}
	pinned := split.Unfollow(d.p.revision)
	later.Traffic, later.Pinned = knative.Targets(split), knative.Targets(pinned)
	return later.addTo(former.Replace(pinned, d.opts.Now()).And(change), svc), nil
}

// overtaken reports whether a deploy that began later than this one has its
// traffic already: going back behind it would be wrong.
func (d *deployer) overtaken(svc *servingv1.Service) bool {
	mine := number(d.spec.Service, d.p.revision)
	if mine == 0 {
		return false
	}
	for _, t := range knative.Snapshot(svc).Named() {
		if t.Percent > 0 && number(d.spec.Service, t.Revision) > mine {
			return true
		}
	}
	return false
}

// pause waits before the next try, spread so that several deploys do not meet again.
func pause(ctx context.Context, attempt int) error {
	return backoff.Policy{First: 20 * time.Millisecond, Max: time.Second, Jitter: 0.5}.Wait(ctx, attempt)
}
