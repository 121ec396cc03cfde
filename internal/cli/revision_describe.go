package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/term"
)

type revisionDescribeOptions struct {
	Service string
	Ref     string
}

// revisionDetail is what `revision describe` prints as JSON.
type revisionDetail struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Service    string `json:"service"`
	Namespace  string `json:"namespace"`
	app.RevisionInfo
	Uses  []useInfo  `json:"uses"`            // what stands against deleting it
	Cause *causeInfo `json:"cause,omitempty"` // why it is not ready
}

type causeInfo struct {
	Code  string   `json:"code"`
	Cause string   `json:"cause"`
	Fix   string   `json:"fix,omitempty"`
	Log   []string `json:"log,omitempty"`
}

func newRevisionDescribeCmd(f *Factory, runF func(context.Context, *revisionDescribeOptions) error) *cobra.Command {
	o := &revisionDescribeOptions{}
	cmd := &cobra.Command{
		Use:   "describe REVISION",
		Short: "Show a revision, and why it is not ready",
		Long: `Show a revision: its share of the traffic, tags, pods, image and commit, what it
is in use for, and, while it is not ready, the cause and what to do about it.

A REVISION is v2, a full name, a tag, @latest, git:1a2b3c4 …, as in traffic split.
With a full name no service needs to be named.`,
		Example: `  kn-lite revision describe v2
  kn-lite revision describe -s hello @latest
  kn-lite revision describe hello-v3 -o jsonpath='{.cause.cause}'`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRevisions(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Ref = args[0]
			return runner(f, runF, runRevisionDescribe)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	completeServiceFlag(f, cmd)
	return cmd
}

func runRevisionDescribe(ctx context.Context, f *Factory, o *revisionDescribeOptions) error {
	target, err := revisionTarget(f, o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, readTimeout)
	defer cancel()
	found, err := f.App().DescribeRevision(ctx, target, o.Ref)
	if err != nil {
		return err
	}
	detail := revisionDetailOf(found)
	return f.print(answer{
		Object: detail,
		Names:  []string{revisionResource + detail.Name},
		Table:  func() error { return revisionText(f, found, detail) },
	})
}

func revisionDetailOf(found *app.RevisionDetail) revisionDetail {
	out := revisionDetail{APIVersion: apiVersion, Kind: "Revision", Service: found.Service.Name, Namespace: found.Service.Namespace, Uses: useInfos(found.Uses)}
	for _, r := range app.SummarizeView(found.Service).Revisions {
		if r.Name == found.Name {
			out.RevisionInfo = r
		}
	}
	if f := found.Finding; f != nil {
		out.Cause = &causeInfo{Code: string(f.Code), Cause: f.Cause, Fix: nameFlags(f.Fix), Log: f.Log}
	}
	return out
}

func revisionText(f *Factory, found *app.RevisionDetail, d revisionDetail) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s %s\n", name, term.Visible(fmt.Sprintf(format, args...)))
	}
	line("Revision", "%s", d.Name)
	line("Service", "%s", d.Service)
	line("Namespace", "%s", d.Namespace)
	line("State", "%s", stateText(d.Ready, d.Reason, d.Message))
	line("Traffic", "%d %%", d.Percent)
	for _, t := range found.Service.Observed {
		if t.Tag != "" && t.Pin(found.Service.LatestReady) == d.Name {
			line("Tag", "%s (%s)", t.Tag, dash(t.URL))
		}
	}
	line("Age", "%s", ageOf(d.Created, f.Sys.Now()))
	line("Pods", "%s", strconv.Itoa(d.Replicas))
	line("Image", "%s", dash(d.Image))
	line("Commit", "%s", dash(d.Commit))
	use := useText(found.Uses)
	if use == "" {
		use = "no: `kn-lite revision delete` removes it"
	}
	line("In use", "%s", use)
	if c := d.Cause; c != nil {
		line("Cause", "%s", oneLine(c.Cause))
		title := "What to do"
		for text := range strings.Lines(c.Fix) {
			line(title, "%s", strings.TrimSuffix(text, "\n"))
			title = ""
		}
		title = "Log"
		for _, text := range c.Log {
			line(title, "%s", text)
			title = ""
		}
	}
	if len(d.Conditions) > 0 {
		fmt.Fprintln(&b, "\nConditions")
		for _, c := range d.Conditions {
			fmt.Fprintf(&b, "  %s %s\n", mark(c.Status), term.Visible(conditionText(c)))
		}
	}
	return f.IO.Lines(strings.TrimSuffix(b.String(), "\n"))
}
