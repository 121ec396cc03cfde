package cli

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// routeTimeout is how long a split may take to reach the ingress.
const routeTimeout = 2 * time.Minute

// trafficChange is what the commands that write a split have in common.
type trafficChange struct {
	Service      string // "" until it is inferred
	DryRun       bool
	NoWait       bool
	IfGeneration int64
	Verify       *app.VerifyRequest // of split and shift; nil: not asked for
	changed      func(flag string) bool
}

func (o *trafficChange) add(cmd *cobra.Command) {
	o.changed = cmd.Flags().Changed
	addServiceFlag(cmd, &o.Service)
	flags := cmd.Flags()
	flags.BoolVar(&o.DryRun, "dry-run", false, "show what would change and write nothing")
	flags.BoolVar(&o.NoWait, "no-wait", false, "do not wait until the cluster routes as asked")
	flags.Int64Var(&o.IfGeneration, "if-generation", 0, "fail with exit code 6 unless the service is at this `GENERATION`")
}

// check finds values that an unset variable in a pipeline makes.
func (o *trafficChange) check() error {
	if o.changed("if-generation") && o.IfGeneration < 1 {
		return fault.Usagef("--if-generation %d: generations begin at 1", o.IfGeneration).WithHint("`kn-lite traffic show -o json` has it")
	}
	return nil
}

// verifyFlags are the flags of --verify.
type verifyFlags struct {
	on           bool
	path, header string
}

func (v *verifyFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&v.on, "verify", false, "send requests until what they meet fits the split, by a chi-square test at the level of 1 %")
	flags.StringVar(&v.path, "verify-path", "/", "`PATH` of these requests, which are GET")
	flags.StringVar(&v.header, "verify-header", "", "`HEADER` in which the function's answers say its $K_REVISION")
}

// fill puts what was asked for into o.
func (v *verifyFlags) fill(o *trafficChange) error {
	if !v.on {
		for _, flag := range []string{"verify-path", "verify-header"} {
			if o.changed(flag) {
				return fault.Usagef("--%s has no effect without --verify", flag)
			}
		}
		return nil
	}
	if o.NoWait || o.DryRun {
		return fault.Usagef("--verify sends requests to the split that is routed, so it cannot go with --no-wait or --dry-run")
	}
	o.Verify = &app.VerifyRequest{Path: v.path, Header: v.header}
	return nil
}

// changeTraffic makes the change, waits until it is routed, and prints it.
func changeTraffic(ctx context.Context, f *Factory, o *trafficChange, want traffic.Request) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	r := app.SplitRequest{Target: target, Want: want, DryRun: o.DryRun, NoWait: o.NoWait, IfGeneration: o.IfGeneration, Verify: o.Verify}
	var planned traffic.Result
	r.Preview = func(result traffic.Result) error {
		// What becomes of a relative change is known when it has been written.
		if planned = result; !want.IsRelative() || o.DryRun {
			previewSplit(f.IO, target.Service, result)
		}
		return nil
	}
	ctx, cancel := f.withTimeout(ctx, routeTimeout)
	defer cancel()
	result, err := f.App().Split(ctx, r)
	if result != nil && want.IsRelative() && !o.DryRun {
		previewSplit(f.IO, target.Service, planned)
	}
	if err != nil {
		return err
	}
	if o.DryRun {
		f.IO.Note("dry run: nothing was written")
	}
	return printChange(f, result, o.DryRun)
}

// previewSplit reports a change with every reference resolved.
func previewSplit(streams *term.IO, service string, r traffic.Result) {
	if len(r.Changes) == 0 {
		streams.Note("service %s: the split is %s already", service, r.Next)
		return
	}
	streams.Note("service %s: %s", service, plural(len(r.Changes), "change"))
	for _, change := range r.Changes {
		streams.Note("  %s", change)
	}
}

func printChange(f *Factory, result *app.SplitResult, dryRun bool) error {
	info := describeTraffic(&result.Traffic)
	info.Changed, info.DryRun = &result.Changed, dryRun
	info.Before = app.SummarizeSplit(result.Before, result.LatestReady, result.Revisions)
	info.Verified = describeVerified(result.Verified)
	return f.print(answer{
		Object: info,
		Names:  targetNames(info.Targets),
		Table:  table(f.IO, []string{"REVISION", "TAG", "BEFORE", "AFTER", "ROUTED", "STATE", "AGE", "URL"}, changeTable(result, f.Sys.Now())),
	})
}

// verifiedInfo is what --verify has found.
type verifiedInfo struct {
	By        string         `json:"by"`
	Requests  int            `json:"requests"`
	ChiSquare float64        `json:"chiSquare"`
	P         float64        `json:"p"`
	Level     float64        `json:"level"`
	Observed  map[string]int `json:"observed"` // requests by revision
}

func describeVerified(v *app.Verified) *verifiedInfo {
	if v == nil {
		return nil
	}
	return &verifiedInfo{By: v.By, Requests: v.Requests, ChiSquare: v.ChiSquare, P: v.P, Level: traffic.VerifyLevel, Observed: v.Sample}
}

// changeTable shows the split before and after a change, with what is routed.
func changeTable(result *app.SplitResult, now time.Time) func(*term.Table) {
	return func(t *term.Table) {
		snap, after := result.Snapshot, result.Spec.Normal()
		before := alike(result.Before, after, snap.LatestReady)
		for _, target := range slices.Concat(after, before.Missing(after)) {
			name := target.Pin(snap.LatestReady)
			shown := name
			if target.Latest && name != traffic.Latest {
				shown = traffic.Latest + " (" + name + ")"
			}
			state, age := stateAndAge(result.Revisions, name, now)
			t.Row(shown, dash(target.Tag), shareIn(before, target), shareIn(after, target), observedPercent(snap, target), state, age, dash(targetURL(snap, target)))
		}
	}
}

// alike returns before with each target that leads to a revision under another name than
// after has for it (@latest, or its own) named as there, so that it is one line.
func alike(before, after traffic.Split, latest string) traffic.Split {
	out := slices.Clone(before)
	for i, t := range out {
		if slices.ContainsFunc(after, t.Same) {
			continue
		}
		if at := slices.IndexFunc(after, func(a traffic.Target) bool { return a.Tag == t.Tag && a.Pin(latest) == t.Pin(latest) }); at >= 0 {
			out[i].Latest, out[i].Revision = after[at].Latest, after[at].Revision
		}
	}
	return out
}

// shareIn is a target's share of a split, for a table.
func shareIn(split traffic.Split, target traffic.Target) string {
	percent, found := 0, false
	for _, t := range split {
		if t.Same(target) {
			percent, found = percent+t.Percent, true
		}
	}
	if !found {
		return "-"
	}
	return strconv.Itoa(percent) + " %"
}
