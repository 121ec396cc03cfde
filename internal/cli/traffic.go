package cli

import (
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

func newTrafficCmd(f *Factory) *cobra.Command {
	return newGroupCmd("traffic", "Show and move traffic between revisions", groupTraffic,
		newTrafficShowCmd(f, nil),
		newTrafficSplitCmd(f, nil),
		newTrafficShiftCmd(f, nil),
		newTrafficTagCmd(f, nil),
		newTrafficUntagCmd(f, nil),
		newTrafficHistoryCmd(f, nil),
		newTrafficUndoCmd(f, nil),
	)
}

// trafficInfo is what the commands that show or change a split print as JSON.
type trafficInfo struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Service    string           `json:"service"`
	Namespace  string           `json:"namespace"`
	URL        string           `json:"url,omitempty"`
	Generation int64            `json:"generation"`
	Settled    bool             `json:"settled"` // the cluster routes as the spec says
	Reason     string           `json:"reason,omitempty"`
	DryRun     bool             `json:"dryRun,omitempty"`
	Changed    *bool            `json:"changed,omitempty"`  // of commands that change it
	Before     []app.TargetInfo `json:"before,omitempty"`   // the spec that was changed
	Verified   *verifiedInfo    `json:"verified,omitempty"` // with --verify
	Spec       []app.TargetInfo `json:"spec"`
	Targets    []app.TargetInfo `json:"targets"` // status.traffic: where requests go now
}

// describeTraffic puts a service's traffic and its revisions' states together.
func describeTraffic(shown *app.Traffic) trafficInfo {
	info := trafficInfo{
		APIVersion: apiVersion, Kind: "Traffic",
		Service: shown.Name, Namespace: shown.Namespace, URL: shown.URL, Generation: shown.Generation,
		Settled: shown.Routes(),
		Spec:    app.SummarizeSplit(shown.Spec.Normal(), shown.LatestReady, shown.Revisions),
		Targets: app.SummarizeSplit(shown.Observed, shown.LatestReady, shown.Revisions),
	}
	if !info.Settled {
		info.Reason = shown.WhyNot()
	}
	return info
}

// trafficTable shows what is wanted beside what is routed.
func trafficTable(snap *traffic.Snapshot, revisions []traffic.Revision, now time.Time) func(*term.Table) {
	return func(t *term.Table) {
		spec := snap.Spec.Normal()
		for _, target := range spec {
			name := target.Pin(snap.LatestReady)
			shown := name
			if target.Latest && name != traffic.Latest {
				shown = traffic.Latest + " (" + name + ")"
			}
			state, age := stateAndAge(revisions, name, now)
			t.Row(shown, dash(target.Tag), strconv.Itoa(target.Percent)+" %", observedPercent(snap, target), state, age, dash(targetURL(snap, target)))
		}
		for _, target := range snap.Observed {
			if target.Percent == 0 || slices.ContainsFunc(spec, func(wanted traffic.Target) bool { return routes(snap, target, wanted) }) {
				continue // nothing to show, or shown above
			}
			state, age := stateAndAge(revisions, target.Pin(snap.LatestReady), now)
			t.Row(target.Pin(snap.LatestReady), dash(target.Tag), "0 %", strconv.Itoa(target.Percent)+" %", state, age, dash(target.URL))
		}
	}
}

// stateAndAge returns both of a revision for a table.
func stateAndAge(revisions []traffic.Revision, name string, now time.Time) (state, age string) {
	if r := app.FindRevision(revisions, name); r != nil {
		return readiness(r.State, r.Reason), ageOf(r.Created, now)
	}
	if name == traffic.Latest {
		return "none is ready", "-"
	}
	return "gone", "-"
}

// observedPercent is what the route gives to a target of the spec.
func observedPercent(snap *traffic.Snapshot, target traffic.Target) string {
	for _, o := range snap.Observed {
		if routes(snap, o, target) {
			return strconv.Itoa(o.Percent) + " %"
		}
	}
	return "-"
}

// routes reports whether an observed target is what a wanted one asks for. In a
// gradual rollout several revisions are routed to for the latest one; all but one
// are on their way out.
func routes(snap *traffic.Snapshot, observed, wanted traffic.Target) bool {
	return observed.Same(wanted) && observed.Pin(snap.LatestReady) == wanted.Pin(snap.LatestReady)
}

func targetURL(snap *traffic.Snapshot, target traffic.Target) string {
	if target.Tag == "" {
		return snap.URL
	}
	for _, o := range snap.Observed {
		if o.Tag == target.Tag {
			return o.URL
		}
	}
	return ""
}

// readiness is a Ready condition for people.
func readiness(state traffic.State, reason string) string {
	text := "starting"
	switch state {
	case traffic.Ready:
		return "ready"
	case traffic.NotReady:
		text = "not ready"
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// ageOf is how long ago something was made, in its largest unit, as kubectl
// shows it.
func ageOf(made, now time.Time) string {
	if made.IsZero() {
		return "-"
	}
	d := max(now.Sub(made), 0)
	switch {
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
