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

// settleWithin bounds the wait for the split that a rollout leaves.
const settleWithin = time.Minute

// afterwards bounds what is still written when a rollout was interrupted.
const afterwards = 10 * time.Second

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
		WithHint("the former split serves again: %s\nsee `kn-lite logs %s {Revision} %s` and `kn-lite rollout status %s`", r.state.Before, r.service, r.state.Candidate, r.service)
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
	if errors.Is(cause, context.Canceled) {
		cause = interruptError{cause}
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

// interruptError says in a person's words that the rollout was interrupted.
type interruptError struct{ error }

func (interruptError) Error() string { return "interrupted" }

func (e interruptError) Unwrap() error { return e.error }
