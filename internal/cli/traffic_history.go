package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type trafficHistoryOptions struct {
	Service string
}

// historyInfo is what `traffic history` prints as JSON.
type historyInfo struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Service    string           `json:"service"`
	Namespace  string           `json:"namespace"`
	Generation int64            `json:"generation"`
	Spec       []app.TargetInfo `json:"spec"`  // the present split
	Items      []historyItem    `json:"items"` // the last one first
}

type historyItem struct {
	Steps      int              `json:"steps"`                // of traffic undo --steps
	Generation int64            `json:"generation,omitempty"` // of traffic undo --to
	Until      string           `json:"until"`
	Split      []app.TargetInfo `json:"split"`
}

func newTrafficHistoryCmd(f *Factory, runF func(context.Context, *trafficHistoryOptions) error) *cobra.Command {
	o := &trafficHistoryOptions{}
	cmd := &cobra.Command{
		Use:   "history [SERVICE]",
		Short: "Show the former splits of a service",
		Long: `Show the splits that a service had before, the last one first: how many steps ago,
at which generation of the service and when it was replaced. traffic undo goes back
to any of them.

The history is an annotation of the service. It holds the last twelve splits that
kn-lite has replaced, by a deploy or by a command; of a split that another tool has
written, it knows the one that kn-lite has replaced.`,
		Example: `  kn-lite traffic history
  kn-lite traffic history hello -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runTrafficHistory)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	completeServiceFlag(f, cmd)
	return cmd
}

func runTrafficHistory(ctx context.Context, f *Factory, o *trafficHistoryOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, readTimeout)
	defer cancel()
	history, err := f.App().TrafficHistory(ctx, target)
	if err != nil {
		return err
	}
	if len(history.Past) == 0 {
		f.IO.Note("no former split of %s is known", history.Name)
	}
	info := describeHistory(history)
	names := make([]string, len(info.Items))
	for i, item := range info.Items {
		names[i] = strconv.FormatInt(item.Generation, 10)
	}
	return f.print(answer{
		Object: info, Names: names,
		Table: table(f.IO, []string{"STEPS", "GENERATION", "UNTIL", "SPLIT"}, historyTable(history, f.Sys.Now())),
	})
}

func describeHistory(history *app.TrafficHistory) historyInfo {
	info := historyInfo{
		APIVersion: apiVersion, Kind: "TrafficHistory",
		Service: history.Name, Namespace: history.Namespace, Generation: history.Generation,
		Spec:  app.SummarizeSplit(history.Spec.Normal(), history.LatestReady, nil),
		Items: make([]historyItem, 0, len(history.Past)),
	}
	for i := len(history.Past) - 1; i >= 0; i-- {
		past := history.Past[i]
		info.Items = append(info.Items, historyItem{
			Steps: len(history.Past) - i, Generation: past.Generation,
			Until: past.Until.UTC().Format(time.RFC3339), Split: app.SummarizeSplit(past.Split, history.LatestReady, nil),
		})
	}
	return info
}

func historyTable(history *app.TrafficHistory, now time.Time) func(*term.Table) {
	return func(t *term.Table) {
		t.Row("0", strconv.FormatInt(history.Generation, 10), "now", history.Spec.Normal().String())
		for i := len(history.Past) - 1; i >= 0; i-- {
			past := history.Past[i]
			t.Row(strconv.Itoa(len(history.Past)-i), generationText(past), ageOf(past.Until, now)+" ago", past.Split.String())
		}
	}
}

func generationText(past traffic.Past) string {
	if past.Generation == 0 {
		return "-"
	}
	return strconv.FormatInt(past.Generation, 10)
}
