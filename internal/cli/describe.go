package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type describeOptions struct {
	Service string
	All     bool
}

// describeAtMost is how many revisions the text shows that get no traffic.
const describeAtMost = 10

// serviceDetail is what describe prints as JSON.
type serviceDetail struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	serviceInfo
	Spec       []targetInfo    `json:"spec"`
	Settled    bool            `json:"settled"`
	Domains    []domainInfo    `json:"domains"` // that lead to it by a DomainMapping
	Conditions []conditionInfo `json:"conditions"`
	Revisions  []revisionInfo  `json:"revisions"` // the newest first
}

type domainInfo struct {
	Name    string `json:"name"`
	URL     string `json:"url,omitempty"`
	Ready   string `json:"ready"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

type conditionInfo struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since"`
}

type revisionInfo struct {
	Name       string          `json:"name"`
	Generation int64           `json:"generation"`
	Ready      string          `json:"ready"`
	Reason     string          `json:"reason,omitempty"`
	Message    string          `json:"message,omitempty"`
	Percent    int             `json:"percent"` // of the traffic, as routed
	Tags       []string        `json:"tags,omitempty"`
	Replicas   int             `json:"replicas"`
	Image      string          `json:"image"`
	Commit     string          `json:"commit,omitempty"`
	Created    time.Time       `json:"created"`
	Conditions []conditionInfo `json:"conditions"`
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
	detail := detailOf(view)
	return f.print(answer{
		Object: detail,
		Names:  []string{serviceResource + detail.Name},
		Table:  func() error { return describeText(f, detail, o.All) },
	})
}

func detailOf(view *cluster.View) serviceDetail {
	detail := serviceDetail{
		APIVersion: apiVersion, Kind: "Service",
		serviceInfo: serviceInfoOf(view.Snapshot),
		Spec:        targetInfos(view.Spec.Normal(), view.LatestReady, nil),
		Settled:     view.Routes(),
		Domains:     make([]domainInfo, len(view.Domains)),
		Conditions:  conditionInfos(view.Conditions),
		Revisions:   make([]revisionInfo, len(view.Revisions)),
	}
	for i, d := range view.Domains {
		detail.Domains[i] = domainInfo{Name: d.Name, URL: d.URL, Ready: string(d.Ready), Reason: d.Reason, Message: d.Message}
	}
	for i, r := range view.Revisions {
		detail.Revisions[i] = revisionInfo{
			Name: r.Name, Generation: r.Generation, Ready: string(r.State), Reason: r.Reason, Message: r.Message,
			Percent: view.Observed.Percent(r.Name, view.LatestReady), Tags: tagsOf(view.Observed, r.Name, view.LatestReady),
			Replicas: r.Replicas, Image: r.Image, Commit: r.Commit, Created: r.Created.UTC(),
			Conditions: conditionInfos(r.Conditions),
		}
	}
	return detail
}

func conditionInfos(conditions []cluster.Condition) []conditionInfo {
	out := make([]conditionInfo, len(conditions))
	for i, c := range conditions {
		out[i] = conditionInfo{Type: c.Type, Status: string(c.State), Reason: c.Reason, Message: c.Message, Since: c.Since.UTC()}
	}
	return out
}

func tagsOf(split traffic.Split, revision, latest string) []string {
	var out []string
	for _, t := range split {
		if t.Tag != "" && t.Pin(latest) == revision {
			out = append(out, t.Tag)
		}
	}
	return out
}

// describeText is the service as a tree.
func describeText(f *Factory, d serviceDetail, all bool) error {
	now := f.Sys.Now()
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
	return f.IO.Lines(strings.TrimSuffix(b.String(), "\n"))
}

// recentRevisions returns those that get traffic or have a tag, and the newest of the
// others.
func recentRevisions(all []revisionInfo) []revisionInfo {
	var out []revisionInfo
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

func conditionText(c conditionInfo) string {
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
