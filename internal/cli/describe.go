package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type describeOptions struct {
	Service string
	All     bool
}

// describeAtMost is how many revisions the text shows that get no traffic.
const describeAtMost = 10

// serviceAnswer is what describe prints as JSON.
type serviceAnswer struct {
	header
	app.ServiceDetail
}

func newDescribeCmd(f *Factory, runF func(context.Context, *describeOptions) error) *cobra.Command {
	o := &describeOptions{}
	cmd := &cobra.Command{
		Use:     "describe [SERVICE]",
		Short:   "Show a service, its revisions and their state",
		GroupID: groupDayTwo,
		Example: `  kn-lite describe
  kn-lite describe hello -o json
  kn-lite describe hello -o jsonpath='{.revisions[0].image}'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runDescribe)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	cmd.Flags().BoolVar(&o.All, "all", false, "show all revisions, also the older ones that get no traffic")
	completeServiceFlag(f, cmd)
	return cmd
}

func runDescribe(ctx context.Context, f *Factory, o *describeOptions) error {
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
	return f.print(answer{
		Object: serviceAnswer{head("Service"), detail},
		Names:  []string{serviceResource + detail.Name},
		Table:  func() error { return f.IO.Lines(describeText(&detail, o.All, f.Sys.Now())) },
	})
}

// describeText is the service as a tree.
func describeText(d *app.ServiceDetail, all bool, now time.Time) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		for i, arg := range args {
			if text, ok := arg.(string); ok {
				args[i] = term.Visible(text)
			}
		}
		fmt.Fprintf(&b, format+"\n", args...)
	}
	line("Service     %s", d.Name)
	line("Namespace   %s", d.Namespace)
	line("URL         %s", dash(d.URL))
	for _, domain := range d.Domains {
		line("Domain      %s (%s)", domain.Name, stateText(domain.Ready, domain.Reason, domain.Message))
	}
	line("State       %s", stateText(d.Ready, d.Reason, d.Message))
	line("Age         %s", ageOf(d.Created, now))
	for _, t := range d.Traffic {
		if t.Tag != "" {
			line("Tag         %s → %s (%s)", t.Tag, t.Revision, t.URL)
		}
	}
	if len(d.Conditions) > 0 {
		line("\nConditions")
		for _, c := range d.Conditions {
			line("  %s %s", mark(c.Status), conditionText(c))
		}
	}
	line("\nRevisions")
	if len(d.Revisions) == 0 {
		line("  none yet")
	}
	shown := d.Revisions
	if !all {
		shown = recentRevisions(d.Revisions)
	}
	hidden := len(d.Revisions) - len(shown)
	for i, r := range shown {
		branch, stem := "├─", "│ "
		if i == len(shown)-1 && hidden == 0 {
			branch, stem = "└─", "  "
		}
		title := strconv.Itoa(r.Percent) + " %  " + r.Name
		if len(r.Tags) > 0 {
			title += " (" + strings.Join(r.Tags, ", ") + ")"
		}
		line("  %s %s", branch, title)
		line("  %s    %s, %s, %s old", stem, stateText(r.Ready, r.Reason, r.Message), plural(r.Replicas, "pod"), ageOf(r.Created, now))
		line("  %s    %s", stem, r.Image)
		if r.Commit != "" {
			line("  %s    commit %s", stem, r.Commit)
		}
	}
	if hidden > 0 {
		line("  └─ and %s without traffic: --all shows them", plural(hidden, "older revision"))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// recentRevisions returns those that get traffic or have a tag, and the newest of the
// others.
func recentRevisions(all []app.RevisionInfo) []app.RevisionInfo {
	var out []app.RevisionInfo
	idle := 0
	for _, r := range all {
		if r.Percent == 0 && len(r.Tags) == 0 {
			if idle++; idle > describeAtMost {
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

func stateText(state, reason, message string) string {
	text := readiness(traffic.State(state), reason)
	if message != "" && traffic.State(state) != traffic.Ready {
		text += ": " + oneLine(message)
	}
	return text
}

// oneLine keeps a container's last words from breaking the tree.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func conditionText(c app.ConditionInfo) string {
	text := c.Type
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	if c.Message != "" {
		text += ": " + oneLine(c.Message)
	}
	return text
}

func mark(state string) string {
	switch traffic.State(state) {
	case traffic.Ready:
		return "✓"
	case traffic.NotReady:
		return "✗"
	}
	return "…"
}
