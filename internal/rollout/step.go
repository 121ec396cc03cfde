package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// step watches the step that is written until its outcome is known.
func (r *run) step(ctx context.Context) error {
	label := fmt.Sprintf("step %d of %d: %s at %d %%", r.state.Step+1, len(r.state.Plan.Steps), r.state.Candidate, r.state.Share())
	task := r.Report.Start(label, 0)
	err := r.route(ctx, task, label)
	if err == nil {
		err = r.watch(ctx, task, label)
	}
	if err == nil {
		progress.End(task, label+": "+r.state.Figures, nil)
		return nil
	}
	task.Fail()
	return err
}

// route waits until the cluster routes as the step wants.
func (r *run) route(ctx context.Context, task progress.Task, label string) error {
	r.read(ctx) // what has been counted before is no part of the step
	within, cancel := context.WithTimeout(ctx, r.state.Plan.Patience)
	defer cancel()
	written := &traffic.Snapshot{Name: r.service, Generation: r.generation, Spec: r.state.Split()}
	_, err := traffic.Await(within, r.Store, written, func(why string) { task.Update(label + ": " + why) })
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case fault.KindOf(err) == fault.Conflict:
		if moved, ok := errors.AsType[*traffic.MovedError](err); ok {
			return r.decided(ctx, moved.Error())
		}
	case within.Err() != nil && r.Store.Unreachable() == nil:
		return &failure{Verdict{Outcome: Fail, Gate: "route", Reason: fmt.Sprintf("the cluster did not route so within %s: %v", r.state.Plan.Patience, err)}}
	}
	return err
}

// decided returns the error for a split that is not this run's any more: an abort and
// a promotion change it too.
func (r *run) decided(ctx context.Context, cause string) error {
	snap, err := r.Store.Snapshot(ctx, r.service)
	if err != nil {
		return err
	}
	if err := r.check(snap); err != nil {
		return err
	}
	return &endError{cause: cause}
}

// watch looks at the candidate until Judge has decided.
func (r *run) watch(ctx context.Context, task progress.Task, label string) error {
	begin := r.Now()
	window, shown := newWindow(r), begin
	for {
		if err := r.sleep(ctx); err != nil {
			return err
		}
		unready, err := r.control(ctx)
		if err != nil {
			return err
		}
		r.read(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w := window.now(r)
		w.Elapsed, w.Unready, w.Silent = r.Now().Sub(begin), unready, r.silent
		r.state.Figures = figures(w)
		verdict := Judge(r.state.Plan, w)
		if r.Now().Sub(shown) >= r.state.Plan.refresh(w.Elapsed) {
			shown = r.Now()
			task.Update(label + ": " + progressOf(verdict, w))
		}
		switch {
		case verdict.Outcome == Pass:
			return nil
		case verdict.Outcome == Fail:
			return &failure{verdict}
		case !r.Deadline.IsZero() && r.Now().After(r.Deadline):
			return &failure{Verdict{Outcome: Fail, Gate: "deadline", Reason: "the rollout has not come to its end in time; " + verdict.Reason}}
		}
	}
}

// control sees whether the rollout is still this run's, renews that, and returns why
// the candidate is not ready, if so.
func (r *run) control(ctx context.Context) (unready string, err error) {
	snap, err := r.Store.Snapshot(ctx, r.service)
	switch kind := fault.KindOf(err); {
	case err != nil && ctx.Err() == nil && (kind == fault.Transient || kind == fault.Timeout):
		r.silent = err.Error() // it may answer again; without it nothing passes
		return "", nil
	case err != nil:
		return "", err
	}
	if err := r.check(snap); err != nil {
		return "", err
	}
	if r.state.Until.Sub(r.Now()) < lease*2/3 {
		err := r.write(ctx, r.ours(func(s State) (*State, traffic.Split) { return &s, nil }))
		if kind := fault.KindOf(err); err != nil && kind != fault.Transient && kind != fault.Timeout {
			return "", err
		}
	}
	revisions, err := r.Store.Revisions(ctx, r.service)
	if err != nil {
		return "", nil // the next look may tell
	}
	for _, rev := range revisions {
		if rev.Name != r.state.Candidate {
			continue
		}
		if rev.State == traffic.NotReady {
			return rev.Reason + " " + rev.Message, nil
		}
		return "", nil
	}
	return "it was deleted", nil
}

// read takes in what the source and the pods say.
func (r *run) read(ctx context.Context) {
	points, err := r.source.Read(ctx)
	r.silent = ""
	if err != nil {
		r.silent = err.Error()
	} else {
		r.meter.Add(points)
	}
	if r.Restarts == nil || r.blind {
		return
	}
	counts, err := r.Restarts(ctx, r.state.Candidate)
	switch {
	case err == nil:
		r.restarts.add(counts)
	case fault.KindOf(err) == fault.Auth:
		r.blind = true
		r.Report.Warn(fmt.Sprintf("restarts are not watched: %v", err))
	}
}

// window is where the figures of a step begin.
type window struct {
	candidate, stable Totals // when it began
	cold              bool   // the candidate may start for it: what waits for that is not its speed
}

func newWindow(r *run) *window {
	return &window{candidate: r.meter.Totals(r.state.Candidate), stable: r.meter.Totals(r.state.Stable), cold: r.state.Step == 0}
}

// now returns the figures of the step so far.
func (w *window) now(r *run) Window {
	candidate, stable := r.meter.Totals(r.state.Candidate), r.meter.Totals(r.state.Stable)
	if w.cold && candidate.Requests() > w.candidate.Requests() {
		// The first answers came when its first instance had started.
		w.cold = false
		w.candidate = w.candidate.withBuckets(candidate, Totals{})
	}
	out := Window{Candidate: candidate.Minus(w.candidate), Stable: stable.Minus(w.stable), Restarts: r.restarts.total}
	enough := float64(r.state.Plan.Limits.MinRequests)
	if out.Stable.Requests() < enough {
		out.Stable = stable
	}
	if out.Stable.Requests() >= enough {
		r.state.Reference = referenceOf(out.Stable)
	} else if r.state.Reference.Requests >= enough {
		out.Stable = r.state.Reference.totals()
	}
	return out
}

func figures(w Window) string {
	text := w.Candidate.Summary()
	if w.Stable.Requests() > 0 {
		text += " (stable: " + w.Stable.Summary() + ")"
	}
	return text
}

func progressOf(v Verdict, w Window) string {
	text := figures(w)
	if w.Silent != "" {
		text = v.Reason
	}
	return fmt.Sprintf("%s, for %s", text, w.Elapsed.Truncate(time.Second))
}
