package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/term"
)

type revisionListOptions struct {
	Service string
}

// revisionList is what `revision list` prints as JSON.
type revisionList struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Service    string             `json:"service"`
	Namespace  string             `json:"namespace"`
	Items      []app.RevisionInfo `json:"items"` // the newest first
}

func newRevisionListCmd(f *Factory, runF func(context.Context, *revisionListOptions) error) *cobra.Command {
	o := &revisionListOptions{}
	cmd := &cobra.Command{
		Use:     "list [SERVICE]",
		Aliases: []string{"ls"},
		Short:   "List the revisions of a service, the newest first",
		Long: `List the revisions of a service, the newest first: the share of the traffic that
is routed to each, its tags, its state, age and pods, its image, and the commit
that it was built from.`,
		Example: `  kn-lite revision list
  kn-lite revision list hello
  kn-lite revision list hello -o jsonpath='{.items[*].image}'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runRevisionList)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	completeServiceFlag(f, cmd)
	return cmd
}

func runRevisionList(ctx context.Context, f *Factory, o *revisionListOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, readTimeout)
	defer cancel()
	view, err := f.App().Describe(ctx, target)
	if err != nil {
		return err
	}
	detail := app.SummarizeView(view)
	list := revisionList{APIVersion: apiVersion, Kind: "RevisionList", Service: detail.Name, Namespace: detail.Namespace, Items: detail.Revisions}
	names := make([]string, len(list.Items))
	for i, r := range list.Items {
		names[i] = revisionResource + r.Name
	}
	return f.print(answer{Object: list, Names: names, Table: func() error { return revisionTable(f, list) }})
}

func revisionTable(f *Factory, list revisionList) error {
	if len(list.Items) == 0 {
		f.IO.Note("%s has no revisions yet", list.Service)
		return nil
	}
	now := f.Sys.Now()
	return table(f.IO, []string{"REVISION", "TRAFFIC", "TAGS", "STATE", "AGE", "PODS", "IMAGE", "COMMIT"}, func(t *term.Table) {
		for _, r := range list.Items {
			t.Row(
				r.Name, strconv.Itoa(r.Percent)+" %", dash(strings.Join(r.Tags, ",")), stateText(r.Ready, r.Reason, ""),
				ageOf(r.Created, now), strconv.Itoa(r.Replicas), dash(shortImage(r.Image)), dash(shortCommit(r.Commit)),
			)
		}
	})()
}

// shortCommit is a commit as git abbreviates it.
func shortCommit(commit string) string {
	const digits = 12
	return commit[:min(digits, len(commit))]
}
