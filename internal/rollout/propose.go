package rollout

import (
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Request asks for a rollout.
type Request struct {
	Service string
	Target  string // as in a split; "": the rollout that is paused, else the newest ready revision
	Plan    Plan
	Given   func(field string) bool // whether a part of Plan was asked for, on resuming; nil: none was
}

// Proposal is what a request comes to on a service as it is.
type Proposal struct {
	State   State
	Resumed bool   // it is one that was paused, or whose owner has gone
	Silent  string // of one whose owner has gone: what was last noted of it
	Nothing string // why there is nothing to do; "": there is
	Dropped string // why an earlier rollout is not gone on with; "": there is none
}

// Propose works out what a request means. It is a fault.Conflict while somebody else
// is at work on a rollout of the service, or one of another revision is paused.
func Propose(r Request, snap *traffic.Snapshot, known traffic.Known, now time.Time) (Proposal, error) {
	earlier := StateOf(snap)
	if earlier == nil || !earlier.Active() {
		return r.begin(snap, known)
	}
	if earlier.Held(now) {
		return Proposal{}, r.conflict("a rollout of %s is being run by %s, at %d %%", earlier.Candidate, earlier.Holder, earlier.Share()).
			WithHint("nothing was changed; follow it with `kn-lite rollout status %s`, or end it with `kn-lite rollout abort %s`", r.Service, r.Service)
	}
	if changed := earlier.Changed(snap); changed != "" {
		p, err := r.begin(snap, known)
		p.Dropped = changed
		return p, err
	}
	if r.Target != "" {
		candidate, err := r.candidate(snap, known)
		if err != nil {
			return Proposal{}, err
		}
		if candidate != earlier.Candidate {
			return Proposal{}, r.conflict("a rollout of %s is paused at %d %%", earlier.Candidate, earlier.Share()).
				WithHint("nothing was changed; go on with it (`kn-lite rollout start -s %s`), or end it: `kn-lite rollout promote %s`, `kn-lite rollout abort %s`", r.Service, r.Service, r.Service)
		}
	}
	p, err := r.resume(*earlier)
	if earlier.Phase == Running {
		p.Silent = snap.Annotations[traffic.RolloutKey]
	}
	return p, err
}

func (r Request) conflict(format string, args ...any) *fault.Error {
	return fault.New(fault.Conflict, "rollout.start", "service/"+r.Service, format, args...)
}

// candidate returns the revision that is asked for.
func (r Request) candidate(snap *traffic.Snapshot, known traffic.Known) (string, error) {
	ref := r.Target
	if ref == "" {
		ref = traffic.Latest
	}
	found, err := traffic.Resolve(known, traffic.Edit{{Ref: ref}})
	if err != nil {
		return "", err
	}
	name := found[0].Target.Pin(snap.LatestReady)
	if r.Target == "" {
		for _, t := range snap.Spec {
			if t.Pin(snap.LatestReady) == name && traffic.PreviewNumber(t.Tag) > 0 {
				return "", r.conflict("the newest ready revision, %s, is a preview (%s)", name, t.Tag).WithHint("name the revision that is to be rolled out")
			}
		}
	}
	return name, nil
}

func (r Request) begin(snap *traffic.Snapshot, known traffic.Known) (Proposal, error) {
	candidate, err := r.candidate(snap, known)
	if err != nil {
		return Proposal{}, err
	}
	base, _ := snap.Pinned()
	s := State{
		Phase: Running, Candidate: candidate, Before: snap.Spec.Normal(), Base: base, Newest: snap.LatestCreated,
		Follow: snap.Spec.Normal().Follows() && candidate == snap.LatestReady,
	}
	for i := range s.Before {
		s.Before[i].URL = ""
		if s.Before[i].Latest {
			s.Before[i].Revision = ""
		}
	}
	share := base.Percent(candidate, snap.LatestReady)
	most := 0
	for _, t := range base.ByRevision(snap.LatestReady) {
		if t.Revision != candidate && t.Percent > most {
			s.Stable, most = t.Revision, t.Percent
		}
	}
	if err := traffic.CheckReady(known, base.Shift(candidate, traffic.Shift{}, "")); err != nil {
		return Proposal{}, err
	}
	s.Plan = r.Plan
	if s.Stable != "" {
		s.Plan = r.Plan.from(share)
	}
	switch {
	case s.Stable == "":
		return Proposal{State: s, Nothing: candidate + " has all of the traffic already"}, nil
	case len(s.Plan.Steps) == 0:
		s.Plan = r.Plan
		return Proposal{State: s, Nothing: candidate + " has more than the last step's share already: " + base.String()}, nil
	}
	return Proposal{State: s}, s.Plan.Check()
}

// resume goes on with a rollout at the step where it stands, whose watch begins anew.
func (r Request) resume(s State) (Proposal, error) {
	given := r.Given
	if given == nil {
		given = func(string) bool { return false }
	}
	if given("steps") {
		steps := s.Plan.Steps[: s.Step+1 : s.Step+1]
		s.Plan.Steps = append(steps, r.Plan.from(s.Share()+1).Steps...)
	}
	if given("interval") {
		s.Plan.Interval = r.Plan.Interval
	}
	if given("patience") {
		s.Plan.Patience = r.Plan.Patience
	}
	if given("interval") && !given("patience") {
		s.Plan.Patience = max(s.Plan.Patience, s.Plan.Interval)
	}
	limits, wanted := &s.Plan.Limits, r.Plan.Limits
	for field, take := range map[string]func(){
		"min-requests":       func() { limits.MinRequests = wanted.MinRequests },
		"max-error-rate":     func() { limits.MaxErrorRate = wanted.MaxErrorRate },
		"max-error-increase": func() { limits.MaxErrorIncrease = wanted.MaxErrorIncrease },
		"max-p95":            func() { limits.MaxP95 = wanted.MaxP95 },
		"max-slowdown":       func() { limits.MaxSlowdown = wanted.MaxSlowdown },
		"max-restarts":       func() { limits.MaxRestarts = wanted.MaxRestarts },
	} {
		if given(field) {
			take()
		}
	}
	s.Phase, s.Reason = Running, ""
	return Proposal{State: s, Resumed: true}, s.Plan.Check()
}
