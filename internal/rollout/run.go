package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kn-lite/kn-lite/internal/backoff"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Runner takes the steps of rollouts.
type Runner struct {
	Store traffic.Store
	// Choose returns what the candidate's and the stable revision's figures are read
	// from, and the tag that the candidate needs for it, "" for none.
	Choose func(ctx context.Context, s *State) (source Source, tag string, err error)
	// Restarts returns how often the containers of a revision were restarted, by a name
	// for each. nil: it is not known, and not judged.
	Restarts func(ctx context.Context, revision string) (map[string]int, error)
	Report   progress.Reporter
	Now      func() time.Time
	Holder   string    // who this is, for people
	Owner    string    // the same for programs; no other run has it
	Deadline time.Time // for the whole rollout; zero: none
}

// settleWithin bounds the wait for the split that a rollout leaves.
const settleWithin = time.Minute

// afterwards bounds what is still written when a rollout was interrupted.
const afterwards = 10 * time.Second

// Run carries a rollout out, from where it stands, until the last step has passed.
//
// Errors: RolledBack when the former split is back, and the candidate is at fault or
// somebody has aborted it; Conflict when somebody else is at work on it or has changed
// the service, which is left as they made it. Where ctx is cancelled, the rollout is
// paused and the split stays.
func (r *Runner) Run(ctx context.Context, request Request) (*State, error) {
	p, err := r.propose(ctx, request)
	if err != nil || p.Nothing != "" {
		if err == nil {
			r.Report.Warn(p.Nothing)
		}
		return p.finished(), err
	}
	if p.State.Plan.Steps[0] == 100 {
		r.Report.Warn("the first step takes all of the traffic, so there is nothing to compare with: only absolute limits count")
	}
	source, tag, err := r.Choose(ctx, &p.State)
	if err != nil {
		return nil, err
	}
	run := &run{Runner: r, service: request.Service, source: source}
	if err := run.acquire(ctx, request, p, tag); err != nil {
		return nil, err
	}
	if run.state.Signal != "" {
		r.Report.Note("the figures are from " + run.state.Signal)
	}
	return run.finish(ctx, run.steps(ctx))
}

// finished returns the state of a rollout for which there is nothing to do.
func (p Proposal) finished() *State {
	if p.Nothing == "" {
		return nil
	}
	p.State.Phase, p.State.Reason, p.State.Step = Done, p.Nothing, len(p.State.Plan.Steps)-1
	return &p.State
}

func (r *Runner) propose(ctx context.Context, request Request) (Proposal, error) {
	var p Proposal
	_, err := traffic.Update(ctx, r.Store, request.Service, func(snap *traffic.Snapshot, known traffic.Known) (traffic.Change, error) {
		var err error
		p, err = Propose(request, snap, known, r.Now())
		return traffic.Change{}, err
	}, traffic.Options{DryRun: true, Now: r.Now()})
	return p, err
}

// run is one rollout that is being carried out.
type run struct {
	*Runner
	service    string
	source     Source
	state      State
	generation int64 // of the service as this run has written it
	meter      Meter
	restarts   restarts
	silent     string // why the last reading failed; "": it did not
	blind      bool   // restarts cannot be read
}

// acquire makes the rollout this run's, in the write that begins its step.
func (r *run) acquire(ctx context.Context, request Request, first Proposal, tag string) error {
	if first.Dropped != "" {
		r.Report.Note("an earlier rollout is over, since " + first.Dropped)
	}
	return r.write(ctx, func(snap *traffic.Snapshot, known traffic.Known) (*State, traffic.Split, error) {
		p, err := Propose(request, snap, known, r.Now())
		if err != nil {
			return nil, nil, err
		}
		if p.Nothing != "" || p.State.Candidate != first.State.Candidate || p.Resumed != first.Resumed || !p.State.Before.Equal(first.State.Before) {
			return nil, nil, request.conflict("the split was changed by somebody else meanwhile: %s", snap.Spec.Normal()).
				WithHint("nothing was changed; look at it with `kn-lite traffic show %s` and decide again", request.Service)
		}
		s := p.State
		s.Holder, s.Owner, s.Since, s.Signal = r.Holder, r.Owner, r.Now(), r.source.Name()
		if tag != "" || !p.Resumed {
			s.Tag = tag
		}
		split := s.Split()
		return &s, split, traffic.CheckReady(known, split)
	})
}

// write changes state and split, in one write; a nil split stays. It remembers the
// generation that it leads to, by which a change by others is told.
func (r *run) write(ctx context.Context, plan func(*traffic.Snapshot, traffic.Known) (*State, traffic.Split, error)) error {
	var next State
	result, err := traffic.Update(ctx, r.Store, r.service, func(snap *traffic.Snapshot, known traffic.Known) (traffic.Change, error) {
		s, split, err := plan(snap, known)
		if err != nil {
			return traffic.Change{}, err
		}
		if s.Phase == Running {
			s.Until = r.Now().Add(lease)
		}
		next = *s
		return s.note(traffic.Change{Split: split, Annotations: history(snap, s, split)}), nil
	}, traffic.Options{Now: r.Now()})
	if err != nil {
		return err
	}
	r.state = next
	if result.After != nil {
		r.generation = result.After.Generation
	}
	return nil
}

// history keeps the splits of the steps out of the service's history: one rollout is
// one entry, and one that was undone is none.
func history(snap *traffic.Snapshot, s *State, split traffic.Split) map[string]*string {
	text := snap.Annotations[traffic.HistoryKey]
	if split == nil || snap.Spec.Normal().Equal(s.Before) {
		return nil // the first step: what was before is added
	}
	if s.Phase == Aborted || s.Phase == RolledBack {
		text = withoutLast(text, s.Before)
	}
	if text == "" {
		return map[string]*string{traffic.HistoryKey: nil}
	}
	return map[string]*string{traffic.HistoryKey: &text}
}

func withoutLast(text string, split traffic.Split) string {
	past, err := traffic.History(text)
	if err != nil || len(past) == 0 || !past[len(past)-1].Split.Equal(split) {
		return text
	}
	return traffic.Shorten(text, len(past)-1)
}

// ours plans a change of this run's own rollout; what somebody else has made of it,
// or of the service, is an error.
func (r *run) ours(next func(s State) (*State, traffic.Split)) func(*traffic.Snapshot, traffic.Known) (*State, traffic.Split, error) {
	return func(snap *traffic.Snapshot, _ traffic.Known) (*State, traffic.Split, error) {
		if err := r.check(snap); err != nil {
			return nil, nil, err
		}
		s, split := next(r.state)
		return s, split, nil
	}
}

// endError is how a rollout ends that somebody else has decided about.
type endError struct {
	state *State // as they left it; nil: they have changed the service itself
	cause string
}

// Error implements error.
func (e *endError) Error() string { return e.cause }

// check returns an error when somebody else has taken the rollout over, ended it, or
// changed the service.
func (r *run) check(snap *traffic.Snapshot) error {
	now := StateOf(snap)
	switch {
	case now == nil:
		return &endError{cause: "the record of the rollout was removed by somebody else"}
	case now.Owner != r.Owner:
		return &endError{state: now, cause: "somebody else has taken it over"}
	}
	if changed := r.state.Changed(snap); changed != "" {
		return &endError{cause: changed}
	}
	if snap.Generation != r.generation {
		return &endError{cause: "the service was changed by somebody else"}
	}
	return nil
}

// failure is a step that the candidate did not pass.
type failure struct{ Verdict }

// Error implements error.
func (f *failure) Error() string { return f.Reason }

// steps carries out one step after the other, the first of which is written already.
func (r *run) steps(ctx context.Context) error {
	for {
		if err := r.step(ctx); err != nil {
			return err
		}
		if r.state.Step+1 == len(r.state.Plan.Steps) {
			return nil
		}
		err := r.write(ctx, r.ours(func(s State) (*State, traffic.Split) {
			s.Step, s.Since = s.Step+1, r.Now()
			return &s, s.Split()
		}))
		if err != nil {
			return err
		}
	}
}

// finish writes down how the rollout has ended.
func (r *run) finish(ctx context.Context, err error) (*State, error) {
	failed, isFailure := errors.AsType[*failure](err)
	ended, isEnd := errors.AsType[*endError](err)
	switch {
	case err == nil:
		err = r.write(ctx, r.ours(func(s State) (*State, traffic.Split) {
			return s.finish(Done, "", r.Now()), s.Final()
		}))
		if err != nil {
			return r.finish(ctx, err)
		}
		r.settle(ctx)
		return &r.state, nil
	case isFailure:
		return r.rollBack(ctx, failed)
	case isEnd:
		return r.endedByOthers(ctx, ended)
	}
	return r.pause(ctx, err)
}

// rollBack brings the former split back.
func (r *run) rollBack(ctx context.Context, f *failure) (*State, error) {
	share := r.state.Share()
	err := r.write(ctx, r.ours(func(s State) (*State, traffic.Split) {
		return s.finish(RolledBack, f.Reason, r.Now()), s.Before
	}))
	if err != nil {
		return r.finish(ctx, err)
	}
	r.settle(ctx)
	err = fault.New(fault.RolledBack, "rollout."+f.Gate, "revision/"+r.state.Candidate, "at %d %%: %s", share, f.Reason).
		WithHint("the former split serves again: %s\nsee `kn-lite logs %s --revision %s` and `kn-lite rollout status %s`", r.state.Before, r.service, r.state.Candidate, r.service)
	return &r.state, err
}

// settle waits until the cluster routes the split that a rollout leaves, for a while:
// it is written, and will be taken up.
func (r *run) settle(ctx context.Context) {
	snap, err := r.Store.Snapshot(ctx, r.service)
	if err != nil || snap.Routes() {
		return
	}
	within, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	task := r.Report.Start("waiting until the cluster routes "+snap.Spec.Normal().String(), 0)
	_, err = traffic.Await(within, r.Store, snap, nil)
	progress.End(task, "the cluster routes "+snap.Spec.Normal().String(), err)
}

// endedByOthers returns what the decision of somebody else means for this run.
func (r *run) endedByOthers(ctx context.Context, e *endError) (*State, error) {
	subject := "service/" + r.service
	switch {
	case e.state == nil:
		return r.supersede(ctx, e.cause)
	case e.state.Phase == Promoted || e.state.Phase == Done:
		r.Report.Note("somebody else has promoted " + e.state.Candidate)
		return e.state, nil
	case e.state.Phase == Aborted || e.state.Phase == RolledBack:
		return e.state, fault.New(fault.RolledBack, "rollout.abort", subject, "the rollout of %s was aborted: %s", e.state.Candidate, e.state.Reason).
			WithHint("the former split serves again: %s", e.state.Before)
	}
	if e.state.Phase == Superseded {
		return e.state, fault.New(fault.Conflict, "rollout.run", subject, "the rollout of %s has stopped: %s", e.state.Candidate, e.state.Reason).
			WithHint("see `kn-lite traffic show %s`", r.service)
	}
	return e.state, fault.New(fault.Conflict, "rollout.run", subject, "the rollout of %s was taken over by %s", e.state.Candidate, e.state.Holder).
		WithHint("it goes on there; follow it with `kn-lite rollout status %s`", r.service)
}

// supersede ends a rollout of a service that somebody else has changed, and leaves
// what they have made of it.
func (r *run) supersede(ctx context.Context, cause string) (*State, error) {
	err := r.write(ctx, func(snap *traffic.Snapshot, _ traffic.Known) (*State, traffic.Split, error) {
		if now := StateOf(snap); now == nil || now.Owner != r.Owner {
			return nil, nil, &endError{cause: cause} // theirs: nothing is to be noted
		}
		return r.state.finish(Superseded, cause, r.Now()), nil, nil
	})
	if _, theirs := errors.AsType[*endError](err); err != nil && !theirs {
		r.Report.Debug(fmt.Sprintf("the end of the rollout is not noted: %v", err))
	}
	r.state.Phase, r.state.Reason = Superseded, cause
	return &r.state, fault.New(fault.Conflict, "rollout.run", "service/"+r.service, "the rollout of %s has stopped: %s", r.state.Candidate, cause).
		WithHint("what they have written stays, and %s may have traffic; see `kn-lite traffic show %s`\nthe split before the rollout was %s", r.state.Candidate, r.service, r.state.Before)
}

// pause leaves the rollout where it is, for whoever goes on with it.
func (r *run) pause(ctx context.Context, cause error) (*State, error) {
	reason := "interrupted"
	if ctx.Err() == nil {
		reason = cause.Error()
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	err := r.write(late, r.ours(func(s State) (*State, traffic.Split) {
		s.Phase, s.Reason, s.Owner, s.Until = Paused, reason, "", time.Time{}
		return &s, nil
	}))
	if _, ended := errors.AsType[*endError](err); ended {
		return r.finish(late, err)
	}
	hint := fmt.Sprintf("traffic stays as it is; go on with `kn-lite rollout start -s %s`, or bring the former split back with `kn-lite rollout abort %s`", r.service, r.service)
	if err != nil {
		hint += fmt.Sprintf("\nthat it is paused could not be written (%v): others may go on with it after %s", err, lease)
	}
	if at := fault.HintOf(cause); at != "" {
		hint = at + "\n" + hint
	}
	return &r.state, (&fault.Error{
		Op: "rollout.run", Kind: fault.KindOf(cause), Subject: "service/" + r.service,
		Err: fmt.Errorf("the rollout of %s is paused at %d %%: %w", r.state.Candidate, r.state.Share(), cause),
	}).WithHint("%s", hint)
}

// sleep waits between two looks at a step.
func (r *run) sleep(ctx context.Context) error { return backoff.Sleep(ctx, r.state.Plan.Poll()) }
