package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/coldstart"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/term"
)

// Of a cold start: how many rounds, and how many at most. A round takes ten seconds
// and more.
const (
	coldRounds    = 5
	maxColdRounds = 100
)

type coldStartOptions struct {
	Service   string
	Revisions []string
	Rounds    int
	Path      string
	Ingress   string
	Budget    []coldstart.Limit
}

// coldStartAnswer is what coldstart prints as JSON. All times are milliseconds.
type coldStartAnswer struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Service    string         `json:"service"`
	Revisions  []coldRevision `json:"revisions"`
	Budget     []coldLimit    `json:"budget"`
}

type coldRevision struct {
	Name   string             `json:"name"`
	Image  string             `json:"image,omitempty"`
	Rounds []coldRound        `json:"rounds"`
	Total  coldFigures        `json:"total"`
	Phases map[string]float64 `json:"phases"` // the median of each
}

type coldRound struct {
	Total  float64            `json:"total"`
	Phases map[string]float64 `json:"phases"`
}

type coldFigures struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Mean   float64 `json:"mean"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
}

type coldLimit struct {
	Revision string  `json:"revision"`
	Figure   string  `json:"figure"`
	Limit    float64 `json:"limit"`
	Value    float64 `json:"value"`
	OK       bool    `json:"ok"`
}

func newColdStartCmd(f *Factory, runF func(context.Context, *coldStartOptions) error) *cobra.Command {
	o := &coldStartOptions{}
	var budget []string
	cmd := &cobra.Command{
		Use:     "coldstart [SERVICE]",
		Short:   "Measure how long a revision takes to answer from zero",
		GroupID: groupDayTwo,
		Long: `Measure cold starts: the time from a request to the first byte of its answer while
there is no pod, in phases: activate (ingress, activator and autoscaler, until
there is a pod), schedule, pull, start (until the container runs), ready, answer.

The service itself is not touched. What is measured is a copy of the revision, a
service of its own, SERVICE-cold-…, which goes to zero within seconds of each
answer; it is removed at the end, also after Ctrl-C. With several --revision they
are measured one after the other.

--budget makes it a check: exit code 6 when a figure is above its limit.`,
		Example: `  kn-lite coldstart
  kn-lite coldstart hello --revision v1 --revision v2 --rounds 10
  kn-lite coldstart hello --budget p95=1.5s --budget max=3s -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			if o.Rounds < 1 || o.Rounds > maxColdRounds {
				return fault.Usagef("--rounds %d: use a number from 1 to %d", o.Rounds, maxColdRounds)
			}
			var err error
			if o.Budget, err = coldstart.ParseBudget(budget); err != nil {
				return err
			}
			return runner(f, runF, runColdStart)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	flags := cmd.Flags()
	flags.StringSliceVar(&o.Revisions, "revision", nil, "`REVISION` to measure: v2, a full name, a tag, @latest … (repeatable; default @latest)")
	flags.IntVar(&o.Rounds, "rounds", coldRounds, "measure `N` cold starts of each")
	flags.StringVar(&o.Path, "path", "/", "path and query of the requests")
	flags.StringSliceVar(&budget, "budget", nil, "`FIGURE=TIME` that may not be exceeded, e.g. p95=1.5s: p1 to p100, median, mean, max (repeatable)")
	flags.StringVar(&o.Ingress, "ingress", "", "`HOST[:PORT]` of the cluster's ingress (default: the setting, then DNS, then what the cluster says)")
	completeServiceFlag(f, cmd)
	completeRevisionFlag(f, cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("budget", cobra.FixedCompletions([]string{"p95=", "median=", "mean=", "max="}, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace))
	return cmd
}

func runColdStart(ctx context.Context, f *Factory, o *coldStartOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	r := app.ColdStartRequest{Target: target, Refs: o.Revisions, Rounds: o.Rounds}
	if r.Path, err = app.ParsePath(o.Path); err != nil {
		return err
	}
	if o.Ingress != "" {
		if r.Ingress, err = ingress.ParseAddress(o.Ingress); err != nil {
			return fault.Usagef("--ingress %w", err).WithHint("%s", fault.HintOf(err))
		}
	}
	ctx, cancel := f.withTimeout(ctx, 0)
	defer cancel()
	measured, err := f.App().ColdStart(ctx, r)
	if err != nil {
		return err
	}
	result := coldStartAnswerOf(target.Service, measured, o.Budget)
	err = f.print(answer{
		Object: result,
		Names:  coldNames(result),
		Table: table(f.IO, coldHeader(), func(t *term.Table) {
			for _, m := range measured {
				t.Row(coldRow(m)...)
			}
		}),
	})
	if err != nil {
		return err
	}
	return overBudget(result.Budget)
}

func coldStartAnswerOf(service string, measured []app.ColdStarts, budget []coldstart.Limit) coldStartAnswer {
	out := coldStartAnswer{APIVersion: apiVersion, Kind: "ColdStart", Service: service, Revisions: []coldRevision{}, Budget: []coldLimit{}}
	for _, m := range measured {
		totals := coldstart.Totals(m.Rounds)
		r := coldRevision{Name: m.Revision, Image: m.Image, Rounds: []coldRound{}, Phases: map[string]float64{}, Total: coldFigures{
			Min: milliseconds(totals.Quantile(1)), Median: milliseconds(totals.Quantile(50)), Mean: milliseconds(totals.Mean()),
			P95: milliseconds(totals.Quantile(95)), Max: milliseconds(totals.Quantile(100)),
		}}
		for _, round := range m.Rounds {
			phases := map[string]float64{}
			for phase, d := range round.Phases {
				phases[string(phase)] = milliseconds(d)
			}
			r.Rounds = append(r.Rounds, coldRound{milliseconds(round.Total), phases})
		}
		for _, phase := range coldstart.Phases() {
			r.Phases[string(phase)] = milliseconds(coldstart.OfPhase(m.Rounds, phase).Quantile(50))
		}
		for _, l := range budget {
			value := l.Value(totals)
			out.Budget = append(out.Budget, coldLimit{m.Revision, l.Figure, milliseconds(l.Most), milliseconds(value), value <= l.Most})
		}
		out.Revisions = append(out.Revisions, r)
	}
	return out
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}

func coldNames(a coldStartAnswer) []string {
	names := make([]string, len(a.Revisions))
	for i, r := range a.Revisions {
		names[i] = revisionResource + r.Name
	}
	return names
}

func coldHeader() []string {
	header := []string{"REVISION", "ROUNDS", "MEDIAN", "P95", "MAX"}
	for _, phase := range coldstart.Phases() {
		header = append(header, strings.ToUpper(string(phase)))
	}
	return header
}

func coldRow(m app.ColdStarts) []string {
	totals := coldstart.Totals(m.Rounds)
	row := []string{m.Revision, strconv.Itoa(len(m.Rounds)), progress.Duration(totals.Quantile(50)), progress.Duration(totals.Quantile(95)), progress.Duration(totals.Quantile(100))}
	for _, phase := range coldstart.Phases() {
		row = append(row, progress.Duration(coldstart.OfPhase(m.Rounds, phase).Quantile(50)))
	}
	return row
}

// overBudget is a precondition that does not hold: what was measured is printed, and
// is not as it should be.
func overBudget(limits []coldLimit) error {
	var over []string
	for _, l := range limits {
		if !l.OK {
			over = append(over, l.Revision+": "+l.Figure+" is "+strconv.FormatFloat(l.Value, 'f', -1, 64)+" ms, and "+strconv.FormatFloat(l.Limit, 'f', -1, 64)+" ms are allowed")
		}
	}
	if len(over) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "coldstart.budget", "", "over the budget: %s", strings.Join(over, "; "))
}
