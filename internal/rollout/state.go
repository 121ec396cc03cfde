package rollout

import (
	"encoding/json"
	"math"
	"time"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Phase is where a rollout stands.
type Phase string

// The phases. Nobody works on a rollout but in the first.
const (
	Running    Phase = "running"
	Paused     Phase = "paused"      // can be resumed, promoted and aborted
	Done       Phase = "done"        // the last step has passed
	Promoted   Phase = "promoted"    // somebody has given the candidate the last step's share at once
	RolledBack Phase = "rolled-back" // the candidate did not do well
	Aborted    Phase = "aborted"     // somebody has brought the former split back
	Superseded Phase = "superseded"  // somebody has changed the service: what they have made of it stays
)

// Reference is how the stable revision has done. Whoever goes on with a rollout at a
// step that leaves it nothing compares with that.
type Reference struct {
	Requests float64 `json:"requests"`
	Failed   float64 `json:"failed,omitempty"`
	P95      span    `json:"p95,omitempty"` // 0: not known
}

// referenceOf returns what is compared with of some figures.
func referenceOf(t Totals) Reference {
	took, _ := t.Quantile(p95)
	return Reference{Requests: math.Round(t.Requests()), Failed: math.Round(t.Failed), P95: span(took)}
}

// totals returns figures that say the same.
func (r Reference) totals() Totals {
	t := Totals{Served: r.Requests - r.Failed, Failed: r.Failed}
	if r.P95 > 0 {
		t.Buckets = map[float64]float64{time.Duration(r.P95).Seconds(): p95 * r.Requests, math.Inf(1): r.Requests}
	}
	return t
}

// lease is how long whoever runs a rollout may be silent before another one may go
// on with it; it is renewed after a third of that.
const lease = 45 * time.Second

// State is a rollout as the annotation of its service has it: enough for another
// process to show it, go on with it or undo it.
type State struct {
	Phase     Phase
	Candidate string        // revision
	Stable    string        // revision that it is compared with
	Before    traffic.Split // as it was, to be brought back
	Base      traffic.Split // Before by names of revisions, which the steps are made of
	Follow    bool          // the service's traffic followed the latest revision, and does so again at the end
	Tag       string        // that the candidate has during the rollout, to be probed by; "" for none
	Newest    string        // the revision that was made last when it began
	Plan      Plan
	Step      int       // index of the step that is written
	Since     time.Time // when that was
	Signal    string    // what the figures are from
	Reason    string    // of the end, or for the pause
	Figures   string    // of the candidate, at last
	Reference Reference // the stable revision, as it did when it had enough requests

	Holder string    // who runs it, for people
	Owner  string    // the same for programs: different for each run
	Until  time.Time // how long it is theirs while they are silent
}

// StateOf reads the rollout of a service; nil when there was none, or none that
// this version can read.
func StateOf(snap *traffic.Snapshot) *State {
	text := snap.Annotations[traffic.RolloutKey]
	var w wire
	if text == "" || json.Unmarshal([]byte(text), &w) != nil {
		return nil
	}
	s := w.state()
	if s.Candidate == "" || len(s.Before) == 0 || s.Step < 0 || s.Step >= len(s.Plan.Steps) || s.Plan.Check() != nil {
		return nil
	}
	return &s
}

// Active reports whether the rollout has not come to an end.
func (s *State) Active() bool { return s.Phase == Running || s.Phase == Paused }

// Held reports whether somebody is at work on it.
func (s *State) Held(now time.Time) bool { return s.Phase == Running && now.Before(s.Until) }

// Share is the candidate's share at the step that is written.
func (s *State) Share() int { return s.Plan.Steps[s.Step] }

// Split returns the split of the step that is written.
func (s *State) Split() traffic.Split { return s.splitAt(s.Share(), s.Tag) }

// Final returns the split of the last step, as it stays.
func (s *State) Final() traffic.Split {
	return s.splitAt(s.Plan.Steps[len(s.Plan.Steps)-1], "")
}

func (s *State) splitAt(share int, tag string) traffic.Split {
	shift := traffic.Shift{Partial: share < 100, Share: share}
	shift.Follow = share == 100 && s.Follow && tag == ""
	return s.Base.Shift(s.Candidate, shift, tag)
}

// Changed says what somebody else has done to the service since the step was
// written; "" when nobody has.
func (s *State) Changed(snap *traffic.Snapshot) string {
	if now := snap.Spec.Normal(); !now.Equal(s.Split()) {
		return "the split was changed by somebody else: " + traffic.DiffText(traffic.Diff(s.Split(), now))
	}
	if made := snap.LatestCreated; made != s.Newest && made != s.Candidate && made != "" {
		return "somebody has deployed " + made
	}
	return ""
}

// renewal is longer than it takes who runs a rollout to say so again.
const renewal = lease/3 + 10*time.Second

// isNotedIn reports whether a service has this very state.
func (s *State) isNotedIn(snap *traffic.Snapshot) bool {
	text := s.note(traffic.Change{}).Annotations[traffic.RolloutKey]
	return snap.Annotations[traffic.RolloutKey] == *text
}

// note returns a change with the state in it.
func (s *State) note(change traffic.Change) traffic.Change {
	// Strings, numbers and times marshal.
	raw, _ := json.Marshal(newWire(*s))
	return change.Annotate(traffic.RolloutKey, string(raw))
}

// finish returns the state at its end, without what only matters on the way.
func (s State) finish(phase Phase, reason string, now time.Time) *State {
	s.Phase, s.Reason, s.Since = phase, reason, now
	s.Owner, s.Until = "", time.Time{}
	return &s
}

// wire is a State as the annotation has it. Keys are only ever added.
type wire struct {
	Phase     Phase      `json:"phase"`
	Candidate string     `json:"candidate"`
	Stable    string     `json:"stable,omitempty"`
	Before    []wireLine `json:"before"`
	Base      []wireLine `json:"base"`
	Follow    bool       `json:"follow,omitempty"`
	Tag       string     `json:"tag,omitempty"`
	Newest    string     `json:"newest,omitempty"`
	Steps     []int      `json:"steps"`
	Step      int        `json:"step"`
	Since     time.Time  `json:"since"`
	Interval  span       `json:"interval"`
	Patience  span       `json:"patience"`
	Signal    string     `json:"signal,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	Figures   string     `json:"figures,omitempty"`
	Reference Reference  `json:"reference,omitzero"`
	Limits    wireLimits `json:"limits"`
	Holder    string     `json:"holder,omitempty"`
	Owner     string     `json:"owner,omitempty"`
	Until     time.Time  `json:"until,omitzero"`
}

type wireLine struct {
	Revision string `json:"revision,omitempty"` // none: the latest
	Percent  int    `json:"percent"`
	Tag      string `json:"tag,omitempty"`
}

type wireLimits struct {
	MinRequests      int     `json:"minRequests"`
	MaxErrorRate     float64 `json:"maxErrorRate"`
	MaxErrorIncrease float64 `json:"maxErrorIncrease"`
	MaxP95           span    `json:"maxP95,omitempty"`
	MaxSlowdown      float64 `json:"maxSlowdown"`
	MaxRestarts      int     `json:"maxRestarts"`
}

// span is a duration as people write it.
type span time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d span) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *span) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = span(parsed)
	return err
}

func newWire(s State) wire {
	l := s.Plan.Limits
	return wire{
		Phase: s.Phase, Candidate: s.Candidate, Stable: s.Stable, Before: linesOf(s.Before), Base: linesOf(s.Base),
		Follow: s.Follow, Tag: s.Tag, Newest: s.Newest, Steps: s.Plan.Steps, Step: s.Step, Since: s.Since.UTC().Truncate(time.Second),
		Interval: span(s.Plan.Interval), Patience: span(s.Plan.Patience), Signal: s.Signal, Reason: s.Reason, Figures: s.Figures, Reference: s.Reference,
		Limits: wireLimits{l.MinRequests, l.MaxErrorRate, l.MaxErrorIncrease, span(l.MaxP95), l.MaxSlowdown, l.MaxRestarts},
		Holder: s.Holder, Owner: s.Owner, Until: s.Until.UTC().Truncate(time.Second),
	}
}

func (w wire) state() State {
	l := w.Limits
	return State{
		Phase: w.Phase, Candidate: w.Candidate, Stable: w.Stable, Before: splitOf(w.Before), Base: splitOf(w.Base),
		Follow: w.Follow, Tag: w.Tag, Newest: w.Newest, Step: w.Step, Since: w.Since,
		Plan: Plan{
			Steps: w.Steps, Interval: time.Duration(w.Interval), Patience: time.Duration(w.Patience),
			Limits: Limits{
				MinRequests: l.MinRequests, MaxErrorRate: l.MaxErrorRate, MaxErrorIncrease: l.MaxErrorIncrease,
				MaxP95: time.Duration(l.MaxP95), MaxSlowdown: l.MaxSlowdown, MaxRestarts: l.MaxRestarts,
			},
		},
		Signal: w.Signal, Reason: w.Reason, Figures: w.Figures, Reference: w.Reference, Holder: w.Holder, Owner: w.Owner, Until: w.Until,
	}
}

func linesOf(split traffic.Split) []wireLine {
	out := make([]wireLine, len(split))
	for i, t := range split {
		out[i] = wireLine{Revision: t.Revision, Percent: t.Percent, Tag: t.Tag}
		if t.Latest {
			out[i].Revision = ""
		}
	}
	return out
}

func splitOf(lines []wireLine) traffic.Split {
	out := make(traffic.Split, len(lines))
	for i, l := range lines {
		out[i] = traffic.Target{Revision: l.Revision, Latest: l.Revision == "", Percent: l.Percent, Tag: l.Tag}
	}
	return out
}
