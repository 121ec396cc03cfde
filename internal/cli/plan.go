package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type planOptions struct {
	deployOptions
	DetailedExitCode bool
}

const planLong = `Plan shows what the deploy with the same flags would change, and changes nothing:
each setting as it is and as it would be, the revision that would be made, and
where the traffic would go. The image is built, as its digest is part of the
answer, and not pushed. The API server checks the result, so what Knative or a
policy would refuse is refused here too. Who may only read gets the answer
without that check.

Not shown are passwords in URLs, variables whose name looks like a secret's, and
what func.yaml takes from the environment here ({{ env:NAME }}).

With --detailed-exitcode the exit code is 0 when nothing would change and 10 when
something would; errors have their own codes.`

const planExample = `  # What would deploy do?
  kn-lite plan

  # The same in a pipeline: go on only when there is something to do
  kn-lite plan --detailed-exitcode || [ $? -eq 10 ]

  # For an image that is there already, with another setting
  kn-lite plan -s hello --image registry.example/team/hello:v3 --scale-max 5`

func newPlanCmd(f *Factory, runF func(context.Context, *planOptions) error) *cobra.Command {
	o := &planOptions{}
	cmd := &cobra.Command{
		Use:     "plan [DIR]",
		Short:   "Show what deploy would change",
		GroupID: groupStart,
		Long:    planLong,
		Example: planExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir, o.changed, o.building = dirArg(args), cmd.Flags().Changed, buildFlagNames(f)
			return runner(f, runF, runPlan)(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o.addWanted(f, cmd)
	flags.BoolVar(&o.DetailedExitCode, "detailed-exitcode", false, "exit with 10 when something would change")
	o.addBuild(f, cmd)
	return cmd
}

func runPlan(ctx context.Context, f *Factory, o *planOptions) error {
	request, err := o.request()
	if err != nil {
		return err
	}
	request.DryRun = app.DryRunPlan
	request.Namespace, request.Timeout, request.NoCluster = f.Flags.Namespace, f.Flags.Timeout, offerLocal(f)
	result, err := f.App().Deploy(ctx, request)
	if err != nil {
		return err
	}
	if o.DetailedExitCode && result.Foreseen.Outcome != deploy.Unchanged {
		f.status = changesFound
	}
	return printDeployPlan(f, result)
}

type deployPlan struct {
	header
	Outcome     string       `json:"outcome"` // of the deploy: created, updated, moved, unchanged
	Service     string       `json:"service"`
	Namespace   string       `json:"namespace"`
	Revision    string       `json:"revision,omitempty"` // none: Knative will name it
	NewRevision bool         `json:"newRevision"`
	Image       string       `json:"image"`
	Checked     bool         `json:"checked"` // the API server would take it
	Changes     []planChange `json:"changes"`
	Traffic     planTraffic  `json:"traffic"`
}

type planChange struct {
	Setting  string `json:"setting"`
	Before   string `json:"before,omitempty"`
	After    string `json:"after,omitempty"`
	Revision bool   `json:"makesRevision"`
}

type planTraffic struct {
	Before []app.TargetInfo `json:"before"`
	After  []app.TargetInfo `json:"after"`
}

func printDeployPlan(f *Factory, r *app.DeployResult) error {
	foreseen := r.Foreseen
	object := deployPlan{
		header: head("Plan"), Outcome: string(foreseen.Outcome), Service: r.Service, Namespace: r.Namespace,
		Revision: foreseen.Revision, NewRevision: foreseen.Forecast.NewRevision, Image: foreseen.Image, Checked: foreseen.Forecast.Checked,
		Changes: make([]planChange, 0, len(foreseen.Forecast.Changes)),
		Traffic: planTraffic{
			Before: app.SummarizeSplit(foreseen.Forecast.Before, foreseen.Revision, nil),
			After:  app.SummarizeSplit(foreseen.Forecast.After, foreseen.Revision, nil),
		},
	}
	for _, c := range foreseen.Forecast.Changes {
		object.Changes = append(object.Changes, planChange{Setting: c.Setting, Before: c.Before, After: c.After, Revision: c.Revision})
	}
	return f.print(answer{
		Object: object,
		Names:  []string{serviceResource + r.Service},
		Table:  func() error { return planTable(f.IO, r.Service, foreseen) },
	})
}

// planTable prints the plan for people: what is made, what is set, where requests go.
func planTable(streams *term.IO, service string, r *deploy.Result) error {
	if err := streams.Answer("%s", planHeadline(service, r)); err != nil || r.Outcome == deploy.Unchanged {
		return err
	}
	if len(r.Forecast.Changes) > 0 {
		table := term.NewTable("", "SETTING", "NOW", "THEN")
		for _, c := range r.Forecast.Changes {
			table.Row(changeSign(c), c.Setting, dash(shortDigests(c.Before)), dash(shortDigests(c.After)))
		}
		if err := writeSection(streams, table); err != nil {
			return err
		}
	}
	if r.Forecast.Before.Equal(r.Forecast.After) {
		return nil
	}
	table := term.NewTable("", "REVISION", "TAG", "NOW", "THEN")
	for _, row := range splitRows(r.Forecast.Before, r.Forecast.After) {
		table.Row(row...)
	}
	return writeSection(streams, table)
}

func writeSection(streams *term.IO, table *term.Table) error {
	if err := streams.Answer(""); err != nil {
		return err
	}
	return streams.Write(table)
}

func planHeadline(service string, r *deploy.Result) string {
	name := r.Revision
	if name == "" {
		name = "named by Knative"
	}
	switch {
	case r.Outcome == deploy.Unchanged:
		return fmt.Sprintf("unchanged: %s has this content and these settings already", r.Revision)
	case r.Outcome == deploy.Created:
		return fmt.Sprintf("%s: a new service with the revision %s", service, name)
	case r.Forecast.NewRevision:
		return fmt.Sprintf("%s: a new revision, %s", service, name)
	case len(r.Forecast.Changes) > 0:
		return fmt.Sprintf("%s: the service's own settings change, no revision is made", service)
	}
	return fmt.Sprintf("%s: only traffic and tags change; %s is there already", service, name)
}

func changeSign(c deploy.Difference) string {
	switch {
	case c.Before == "":
		return "+"
	case c.After == "":
		return "-"
	}
	return "~"
}

// splitRows are a split as it is beside how it would be, in the order of the latter.
func splitRows(before, after traffic.Split) [][]string {
	type line struct{ revision, tag string }
	var order []line
	shares := [2]map[line]int{{}, {}}
	for i, split := range []traffic.Split{after, before} {
		for _, t := range split {
			at := line{t.Pin(traffic.Latest), t.Tag}
			if !slices.Contains(order, at) {
				order = append(order, at)
			}
			shares[1-i][at] += t.Percent
		}
	}
	rows := make([][]string, len(order))
	for i, at := range order {
		sign, cells := " ", [2]string{"-", "-"}
		for side := range shares {
			if share, there := shares[side][at]; there {
				cells[side] = strconv.Itoa(share) + " %"
			}
		}
		switch {
		case cells[0] == "-":
			sign = "+"
		case cells[1] == "-":
			sign = "-"
		case cells[0] != cells[1]:
			sign = "~"
		}
		rows[i] = []string{sign, at.revision, dash(at.tag), cells[0], cells[1]}
	}
	return rows
}

// shortDigests cuts digests to what a person compares.
func shortDigests(text string) string {
	return regexp.MustCompile(`(sha256:[0-9a-f]{12})[0-9a-f]{52}`).ReplaceAllString(text, "$1…")
}
