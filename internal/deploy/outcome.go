package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// state is what the cluster is left with after a deploy that failed.
type state struct {
	svc      *servingv1.Service // nil: not known
	restored bool               // the former template and split were written back
	replaced bool               // somebody else's template is there
	pinned   bool               // the split no longer follows the latest revision
	named    error              // why the former template has its revision's name now
	gone     bool               // the service has been deleted
	err      error              // undoing, or looking, did not work
}

// advice is the hint of a failure: what to do, what the log said, what is left.
func (d *deployer) advice(f *Finding, s state) string {
	lines := []string{f.Fix}
	if len(f.Log) > 0 {
		lines = append(lines, "last lines of its log:")
		for _, l := range f.Log {
			lines = append(lines, "  "+l)
		}
	}
	if len(d.opts.Blind) > 0 {
		lines = append(lines, "not permitted to look at "+strings.Join(d.opts.Blind, ", ")+", so this may not be the whole cause")
	}
	return strings.TrimLeft(strings.Join(append(lines, d.left(s)), "\n"), "\n")
}

// left says in one sentence what serves now and what became of the rest.
func (d *deployer) left(s state) string {
	name, revision := d.spec.Service, d.p.revision
	switch {
	case s.gone:
		return "the service " + name + " has been deleted meanwhile"
	case s.err != nil && s.svc == nil:
		return fmt.Sprintf("the state of %s is not known: %v; see `%s`", name, s.err, d.command("describe "+name))
	case s.err != nil:
		return fmt.Sprintf("undoing did not work: %v; %s still asks for %s, traffic: %s", s.err, name, revision, d.serves(s.svc))
	case s.restored:
		text := fmt.Sprintf("%s is as before (traffic: %s); %s gets no traffic and is left in place for debugging", name, d.serves(s.svc), revision)
		if s.pinned {
			text += "\n" + d.pinnedNow()
		}
		if s.named != nil {
			text += "\n" + stillNamed(d.p.former.Former, s.named)
		}
		return text
	case d.p.fresh:
		return fmt.Sprintf("nothing serves %s yet; it is left in place for debugging: deploy again once this is fixed, or remove it with `%s`", name, d.command("delete "+name))
	case s.replaced:
		text := fmt.Sprintf("somebody else has changed %s since; traffic: %s", name, d.serves(s.svc))
		if s.pinned {
			text += "\n" + d.pinnedNow()
		}
		return text
	}
	return fmt.Sprintf("nothing was undone; traffic: %s", d.serves(s.svc))
}

// pinnedNow says how the traffic follows the latest revision again.
func (d *deployer) pinnedNow() string {
	return fmt.Sprintf("its traffic followed the latest revision before and is pinned now; to follow again: `%s`", d.command("traffic split -s "+d.spec.Service+" @latest=100"))
}

// serves returns the split by the names of the revisions that have it.
func (d *deployer) serves(svc *servingv1.Service) traffic.Split {
	split, _ := knative.Snapshot(svc).Pinned()
	return split
}

// command is what to type, so that it works as it stands.
func (d *deployer) command(rest string) string {
	return "kn-lite -n " + d.cluster.Namespace() + " " + rest
}

// look reads the state without changing it, also after ctx has ended.
func (d *deployer) look(ctx context.Context) state {
	if away := d.cluster.Unreachable(); away != nil {
		return state{err: away}
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	svc, err := d.cluster.FindService(bounded, d.spec.Service)
	return state{svc: svc, err: err, gone: err == nil && svc == nil}
}

// cutShort tells what an interrupt during the write has left behind; other
// errors pass.
func (d *deployer) cutShort(ctx context.Context, err error) error {
	if ctx.Err() == nil || d.p == nil {
		return err
	}
	s := d.look(ctx)
	if s.svc != nil && s.svc.Spec.Template.Name == d.p.revision && d.p.isNew {
		return d.interrupted(ctx, nil)
	}
	return d.stopped("nothing was changed in the cluster")
}

// interrupted says where everything stands and how to go on.
func (d *deployer) interrupted(ctx context.Context, f *Finding) error {
	if !errors.Is(ctx.Err(), context.Canceled) {
		return d.unknown(ctx.Err())
	}
	s := d.look(ctx)
	name, revision := d.spec.Service, d.p.revision
	if s.err != nil || s.svc == nil {
		return d.stopped(d.left(s))
	}
	stands := "is not ready yet"
	if f != nil && f.Waiting != "" {
		stands += " (" + f.Waiting + ")"
	}
	serves := "traffic stays as it was: " + d.serves(s.svc).String()
	if d.p.fresh {
		serves = "nothing serves " + name + " yet"
	}
	lines := []string{
		fmt.Sprintf("%s was created and %s; %s", revision, stands, serves),
		"run the same command again to go on waiting and to move the traffic",
	}
	if r := recordOf(s.svc); d.p.fresh {
		lines = append(lines, "or remove it with `"+d.command("delete "+name)+"`")
	} else if r == nil || r.Template != nil {
		lines = append(lines, "or go back to what was before with `"+d.command("deploy {Abort} -s "+name)+"`")
	}
	return d.stopped(strings.Join(lines, "\n"))
}

func (d *deployer) stopped(hint string) error {
	return fault.New(fault.Failure, "deploy.wait", "service/"+d.spec.Service, "interrupted").WithHint("%s", hint)
}

// unknown is for a watch that broke: the revision may well become ready.
func (d *deployer) unknown(err error) error {
	return &fault.Error{
		Op: "deploy.wait", Kind: fault.KindOf(err), Subject: "revision/" + d.p.revision, Err: fmt.Errorf("cannot be waited for: %w", err),
		Hint: strings.TrimLeft(fault.HintOf(err)+"\n"+d.p.revision+" was created; run the same command again to go on, or `"+d.command("deploy {Abort} -s "+d.spec.Service)+"` to undo it", "\n"),
	}
}

// noAnswer is for time that is up while the API server does not answer. Nothing can
// be undone then, and a condition that was seen before is no cause.
func (d *deployer) noAnswer(away error, stands string) error {
	next := "once it answers, run the same command again to go on"
	if d.p.former != nil {
		next += ", or `" + d.command("deploy {Abort} -s "+d.spec.Service) + "` to undo it"
	}
	return &fault.Error{
		Op: "deploy.wait", Kind: fault.Timeout, Subject: "revision/" + d.p.revision, Err: fmt.Errorf("%s after %s: %w", stands, d.timeout(), away),
		Hint: strings.TrimLeft(fault.HintOf(away)+"\n"+next, "\n"),
	}
}

// afterReady is for a failure between readiness and the new split.
func (d *deployer) afterReady(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return d.stopped(d.p.revision + " is ready and gets no traffic yet; run the same command again to move it")
	}
	return &fault.Error{
		Op: "deploy.shift", Kind: fault.Partial, Subject: "service/" + d.spec.Service,
		Err:  fmt.Errorf("%s is ready, and the traffic could not be moved to it: %w", d.p.revision, err),
		Hint: strings.TrimLeft(fault.HintOf(err)+"\nrun the same command again to move it", "\n"),
	}
}

// routeFailed undoes a deploy whose traffic the route does not take up.
func (d *deployer) routeFailed(ctx context.Context, last *servingv1.Service, err error) error {
	subject, reason := "service/"+d.spec.Service, "not reported yet"
	if last != nil {
		_, reason = d.routed(last)
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return d.stopped(fmt.Sprintf("%s is ready and its traffic is assigned; the route has not taken it up yet (%s)\nsee `%s`", d.p.revision, reason, d.command("traffic show "+d.spec.Service)))
	case fault.KindOf(err) == fault.NotFound:
		return err
	}
	if away := d.cluster.Unreachable(); away != nil && errors.Is(err, context.DeadlineExceeded) {
		return d.noAnswer(away, "it is ready and its traffic is assigned; whether the route has taken it up is not known")
	}
	kind, cause := fault.Partial, "the route does not take up the traffic: "+reason
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return d.unknown(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		kind, cause = fault.Timeout, fmt.Sprintf("the route did not take up the traffic within %s: %s", d.timeout(), reason)
	}
	left := d.look(ctx)
	if !d.p.fresh && d.p.former != nil {
		if left = d.undo(ctx); left.restored {
			kind = fault.RolledBack
		}
	}
	f := routeFinding(last)
	return fault.New(kind, "deploy.route", subject, "%s", cause).WithHint("%s", d.advice(&f, left))
}
