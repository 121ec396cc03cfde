package rollout

import (
	"context"
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

// writeWithin bounds how long a write is tried while the API server does not answer.
const writeWithin = 2 * time.Minute

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
	if p.Silent != "" {
		if err := r.waitForHolder(ctx, request, p); err != nil {
			return nil, err
		}
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

// waitForHolder sees whether somebody whose time is over by this machine's clock is at
// work all the same: clocks differ, and who works renews the rollout.
func (r *Runner) waitForHolder(ctx context.Context, request Request, p Proposal) error {
	r.Report.Note(fmt.Sprintf("%s ran this rollout and has not been heard of; waiting for %s to be sure", p.State.Holder, renewal))
	if err := backoff.Sleep(ctx, renewal); err != nil {
		return err
	}
	snap, err := r.Store.Snapshot(ctx, request.Service)
	if err == nil && snap.Annotations[traffic.RolloutKey] != p.Silent {
		return request.conflict("%s is at work on its rollout after all", p.State.Holder).
			WithHint("nothing was changed; do the clocks of the two machines differ? Follow it with `kn-lite rollout status %s`", request.Service)
	}
	return err
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
// generation that it leads to, by which a change by others is told. An API server that
// does not answer is asked again for a while: a candidate that fails must not stay for
// that. A write whose answer was lost is found by the state that it has left.
func (r *run) write(ctx context.Context, plan func(*traffic.Snapshot, traffic.Known) (*State, traffic.Split, error)) error {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	var next State
	begun := false // next may have been written
	change := func(snap *traffic.Snapshot, known traffic.Known) (traffic.Change, error) {
		if begun && next.isNotedIn(snap) {
			return traffic.Change{}, nil
		}
		s, split, err := plan(snap, known)
		if err != nil {
			return traffic.Change{}, err
		}
		if s.Phase == Running {
			s.Until = r.Now().Add(lease)
		}
		next, begun = *s, true
		return s.note(traffic.Change{Split: split, Annotations: history(snap, s, split)}), nil
	}
	again := backoff.New(backoff.Policy{First: 200 * time.Millisecond, Max: 5 * time.Second, Jitter: 0.2})
	for {
		result, err := traffic.Update(ctx, r.Store, r.service, change, traffic.Options{Now: r.Now(), Rebase: func(_, _ traffic.Split) bool { return true }})
		if err == nil {
			r.state, r.generation = next, result.Before.Generation
			if result.After != nil {
				r.generation = result.After.Generation
			}
			return nil
		}
		if kind := fault.KindOf(err); kind != fault.Transient && kind != fault.Timeout || asked.Err() != nil {
			return err
		}
		if waited := again.Wait(ctx); waited != nil {
			return err
		}
		r.Report.Debug(fmt.Sprintf("asking the API server again: %v", err))
	}
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

// sleep waits between two looks at a step.
func (r *run) sleep(ctx context.Context) error { return backoff.Sleep(ctx, r.state.Plan.Poll()) }
