package cli

import (
	"context"
	"reflect"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
)

// readTimeout bounds commands that only read.
const readTimeout = 30 * time.Second

type trafficShowOptions struct {
	Service string
	Watch   bool
}

func newTrafficShowCmd(f *Factory, runF func(context.Context, *trafficShowOptions) error) *cobra.Command {
	o := &trafficShowOptions{}
	cmd := &cobra.Command{
		Use:   "show [SERVICE]",
		Short: "Show how traffic is split, as wanted and as routed",
		Long: `Show the split of a service: the share that each target is meant to get, the
share that the cluster routes to it now, and whether its revision is ready.

In JSON, "targets" is what the cluster routes (status.traffic of the Knative
service) and "spec" is what it was asked for; "settled" says whether they agree.`,
		Example: `  kn-lite traffic show
  kn-lite traffic show hello --watch
  kn-lite traffic show hello -o json
  kn-lite traffic show hello -o jsonpath='{.targets[*].revision}'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runTrafficShow)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	cmd.Flags().BoolVarP(&o.Watch, "watch", "w", false, "show it again after each change, until interrupted or --timeout")
	completeServiceFlag(f, cmd)
	return cmd
}

func runTrafficShow(ctx context.Context, f *Factory, o *trafficShowOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	if o.Watch {
		return watchTraffic(ctx, f, target)
	}
	ctx, cancel := f.withTimeout(ctx, readTimeout)
	defer cancel()
	shown, err := f.App().ShowTraffic(ctx, target)
	if err != nil {
		return err
	}
	return showTraffic(f, shown)
}

func showTraffic(f *Factory, shown *app.Traffic) error {
	if !shown.Routes() {
		f.IO.Note("not settled: %s", shown.WhyNot())
	}
	return printTraffic(f, shown, describeTraffic(shown))
}

// watchTraffic shows the traffic again whenever something of it has changed. A
// service's status is written more often than that.
func watchTraffic(ctx context.Context, f *Factory, target app.Target) error {
	ctx, cancel := f.withTimeout(ctx, 0)
	defer cancel()
	var last trafficInfo
	return f.App().WatchTraffic(ctx, target, func(now *app.Traffic) error {
		info := describeTraffic(now)
		if reflect.DeepEqual(info, last) {
			return nil
		}
		last = info
		return showTraffic(f, now)
	})
}

func printTraffic(f *Factory, shown *app.Traffic, info trafficInfo) error {
	return f.print(answer{
		Object: info,
		Names:  targetNames(info.Targets),
		Table: table(f.IO, []string{"REVISION", "TAG", "WANTED", "ROUTED", "STATE", "AGE", "URL"},
			trafficTable(shown.Snapshot, shown.Revisions, f.Sys.Now())),
	})
}

func targetNames(targets []app.TargetInfo) []string {
	var out []string
	for _, t := range targets {
		if t.Percent > 0 {
			out = append(out, revisionResource+t.Revision)
		}
	}
	return out
}
