package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/rollout"
	"github.com/kn-lite/kn-lite/internal/term"
)

func newRolloutCmd(f *Factory) *cobra.Command {
	return newGroupCmd("rollout", "Move traffic to a revision step by step, and back when it does badly", groupTraffic,
		newRolloutStartCmd(f, nil),
		newRolloutStatusCmd(f, nil),
		newRolloutPromoteCmd(f, nil),
		newRolloutAbortCmd(f, nil),
	)
}

// revisionArgs tells SERVICE from REVISION, either of which may be left out: of two
// arguments the first is the service; a single one is a revision where the service is
// known, by --service or by the working folder.
func revisionArgs(named string, args []string) (service, revision string, err error) {
	switch len(args) {
	case 0:
		return named, "", nil
	case 2:
		if named != "" && named != args[0] {
			return "", "", fault.Usagef("which service: %s or %s?", args[0], named).WithHint("name it once, as an argument or with --service")
		}
		return args[0], args[1], nil
	}
	if named != "" {
		return named, args[0], nil
	}
	project, err := app.FindProject(".")
	if err != nil {
		return "", "", err
	}
	if project != nil {
		return "", args[0], nil
	}
	return args[0], "", nil
}

// who names the person and machine that a rollout is run by, for others to see.
func who(f *Factory) string {
	host, err := os.Hostname()
	if err != nil {
		host = "another machine"
	}
	for _, name := range []string{"USER", "LOGNAME"} {
		if user := f.Sys.Env(name); user != "" {
			return user + "@" + host
		}
	}
	return host
}

// rolloutInfo is a rollout as JSON.
type rolloutInfo struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Service    string           `json:"service"`
	Namespace  string           `json:"namespace"`
	Phase      string           `json:"phase"`
	Candidate  string           `json:"candidate"`
	Stable     string           `json:"stable,omitempty"`
	Step       int              `json:"step"` // from 1
	Steps      []int            `json:"steps"`
	Percent    int              `json:"percent"` // of the candidate, in the spec
	Since      string           `json:"since,omitempty"`
	Signal     string           `json:"signal,omitempty"`
	Figures    string           `json:"figures,omitempty"`
	Reason     string           `json:"reason,omitempty"`
	Holder     string           `json:"holder,omitempty"`
	Changed    string           `json:"changed,omitempty"` // what somebody else has done to the service meanwhile
	Before     []app.TargetInfo `json:"before"`
	Spec       []app.TargetInfo `json:"spec,omitempty"`
}

func describeRollout(r *app.Rollout, now time.Time) rolloutInfo {
	info := rolloutInfo{
		APIVersion: apiVersion, Kind: "Rollout", Service: r.Snap.Name, Namespace: r.Snap.Namespace,
		Phase: phaseOf(r, now), Candidate: r.Candidate, Stable: r.Stable, Step: r.Step + 1, Steps: r.Plan.Steps,
		Signal: r.Signal, Figures: r.Figures, Reason: r.Reason, Before: app.SummarizeSplit(r.Before, r.Snap.LatestReady, nil),
	}
	if !r.Since.IsZero() {
		info.Since = r.Since.UTC().Format(time.RFC3339)
	}
	if r.Snap.Generation > 0 {
		spec := r.Snap.Spec.Normal()
		info.Percent, info.Spec = spec.Percent(r.Candidate, r.Snap.LatestReady), app.SummarizeSplit(spec, r.Snap.LatestReady, nil)
		if r.Active() {
			info.Changed = r.State.Changed(r.Snap)
		}
	}
	if r.Held(now) {
		info.Holder = r.Holder
	}
	return info
}

// phaseOf returns the phase; abandoned is one whose runner has not been heard of.
func phaseOf(r *app.Rollout, now time.Time) string {
	if r.Phase == rollout.Running && !r.Held(now) {
		return "abandoned"
	}
	return string(r.Phase)
}

func printRollout(f *Factory, r *app.Rollout) error {
	info := describeRollout(r, f.Sys.Now())
	return f.print(answer{
		Object: info,
		Names:  []string{revisionResource + info.Candidate},
		Table: table(f.IO, []string{"ROLLOUT", "PHASE", "STEP", "TRAFFIC", "STABLE", "AGE", "BY", "REASON"}, func(t *term.Table) {
			reason := info.Reason
			if info.Changed != "" {
				reason = info.Changed
			}
			t.Row(info.Candidate, info.Phase, stepText(r.State), r.Snap.Spec.Normal().String(), dash(info.Stable), ageOf(r.Since, f.Sys.Now()), dash(info.Holder), dash(reason))
		}),
	})
}
