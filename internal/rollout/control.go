package rollout

import (
	"context"
	"fmt"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Find returns the rollout that a service has, or had last; NotFound when there was none.
func Find(snap *traffic.Snapshot) (*State, error) {
	if s := StateOf(snap); s != nil {
		return s, nil
	}
	return nil, fault.New(fault.NotFound, "rollout.status", "service/"+snap.Name, "it has had no rollout").
		WithHint("begin one with `kn-lite rollout start -s %s REVISION`", snap.Name)
}

// Ended is what Promote and Abort have done.
type Ended struct {
	State *State
	Snap  *traffic.Snapshot // as written
	Left  string            // why the split was left as it is; "": it was written
}

// Promote gives the candidate the share of the last step at once, whoever runs the
// rollout: who does, learns of it.
func Promote(ctx context.Context, store traffic.Store, service, by string, now time.Time) (*Ended, error) {
	return end(ctx, store, service, now, func(s *State, snap *traffic.Snapshot, known traffic.Known) (*State, traffic.Split, string, error) {
		if changed := s.Changed(snap); changed != "" {
			return nil, nil, "", fault.New(fault.Conflict, "rollout.promote", "service/"+service, "%s", changed).
				WithHint("nothing was changed; the rollout is over: move traffic with `kn-lite traffic split`")
		}
		final := s.Final()
		s.Step = len(s.Plan.Steps) - 1
		return s.finish(Promoted, "by "+by, now), final, "", traffic.CheckReady(known, final)
	})
}

// Abort brings back the split before the rollout, whoever runs it. A split that
// somebody has set since stays.
func Abort(ctx context.Context, store traffic.Store, service, by string, now time.Time) (*Ended, error) {
	return end(ctx, store, service, now, func(s *State, snap *traffic.Snapshot, _ traffic.Known) (*State, traffic.Split, string, error) {
		if changed := s.Changed(snap); changed != "" {
			return s.finish(Superseded, changed, now), nil, changed, nil
		}
		return s.finish(Aborted, "by "+by, now), s.Before, "", nil
	})
}

func end(ctx context.Context, store traffic.Store, service string, now time.Time, plan func(*State, *traffic.Snapshot, traffic.Known) (*State, traffic.Split, string, error)) (*Ended, error) {
	out := &Ended{}
	result, err := traffic.Update(ctx, store, service, func(snap *traffic.Snapshot, known traffic.Known) (traffic.Change, error) {
		s, err := Find(snap)
		if err != nil {
			return traffic.Change{}, err
		}
		if !s.Active() {
			return traffic.Change{}, fault.New(fault.NotFound, "rollout.end", "service/"+service, "no rollout of it is under way: the last one, of %s, is %s", s.Candidate, s.Phase).
				WithHint("traffic: %s; `kn-lite rollback %s` brings the split before back", snap.Spec.Normal(), service)
		}
		next, split, left, err := plan(s, snap, known)
		if err != nil {
			return traffic.Change{}, err
		}
		out.State, out.Left = next, left
		return next.note(traffic.Change{Split: split, Annotations: history(snap, next, split)}), nil
	}, traffic.Options{Now: now})
	if err != nil {
		return nil, err
	}
	if out.Snap = result.After; out.Snap == nil {
		return nil, fmt.Errorf("rollout of %s: nothing was written", service) // it always differs: its phase has changed
	}
	return out, nil
}
