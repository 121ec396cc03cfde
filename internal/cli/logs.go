package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
)

type logsOptions struct {
	Service   string
	Revision  string // a reference as in traffic split
	Container string
	All       bool
	Previous  bool
	Follow    bool
	Since     time.Duration
	Tail      int64
}

func newLogsCmd(f *Factory, runF func(context.Context, *logsOptions) error) *cobra.Command {
	o := &logsOptions{}
	cmd := &cobra.Command{
		Use:     "logs [SERVICE]",
		Short:   "Print what a service's pods have written",
		GroupID: groupDayTwo,
		Long: `Print the logs of all pods of a service. With -f new pods are taken in as they
come, also after a while at zero. Where several pods can write, each line begins
with the pod's revision and name.

The container is the one that gets the requests; name another with --container, or
take all of them with --all-containers: then each line begins with the container too.

Kubernetes keeps the logs of pods that exist: a service that has been scaled to
zero has none.`,
		Example: `  kn-lite logs
  kn-lite logs hello -f
  kn-lite logs hello --revision v2 --since 10m --tail 100
  kn-lite logs hello --previous      # what a container said before it was restarted`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runLogs)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	flags := cmd.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "go on until interrupted")
	flags.StringVar(&o.Revision, "revision", "", "only this `REVISION`: v2, a full name, a tag, @latest, @prev")
	flags.StringVarP(&o.Container, "container", "c", "", "only this `CONTAINER` (default: the one that gets the requests; queue-proxy is Knative's)")
	flags.BoolVar(&o.All, "all-containers", false, "of every container, Knative's queue-proxy among them")
	flags.BoolVarP(&o.Previous, "previous", "p", false, "of the run before the last restart")
	flags.DurationVar(&o.Since, "since", 0, "only lines newer than this, e.g. 10m")
	flags.Int64Var(&o.Tail, "tail", -1, "only the last `N` lines of each pod (-1: all)")
	completeServiceFlag(f, cmd)
	completeRevisionFlag(f, cmd)
	return cmd
}

func runLogs(ctx context.Context, f *Factory, o *logsOptions) error {
	switch {
	case o.Since < 0:
		return fault.Usagef("--since %s: it cannot be negative", o.Since)
	case o.All && o.Container != "":
		return fault.Usagef("--all-containers and --container %s exclude each other", o.Container)
	case o.Previous && o.Follow:
		return fault.Usagef("--previous and --follow exclude each other").WithHint("the run before the last restart has ended: nothing follows")
	}
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, 0)
	defer cancel()
	prefix := false
	logs, err := f.App().Logs(ctx, app.LogsRequest{
		Target: target, Revision: o.Revision, Container: o.Container, AllContainers: o.All,
		Previous: o.Previous, Follow: o.Follow, Since: o.Since, Tail: o.Tail,
		Started: func(mixed bool) {
			if prefix = mixed; o.Follow {
				f.IO.Note("following the logs of %s; interrupt to stop", target.Service)
			}
		},
		Emit: func(line cluster.LogLine) error {
			switch {
			case prefix && o.All:
				return f.IO.LogLine(fmt.Sprintf("[%s %s %s] ", shortRevision(target.Service, line.Revision), podSuffix(line), line.Container), line.Text)
			case prefix:
				return f.IO.LogLine(fmt.Sprintf("[%s %s] ", shortRevision(target.Service, line.Revision), podSuffix(line)), line.Text)
			}
			return f.IO.LogLine("", line.Text)
		},
	})
	if err != nil {
		return err
	}
	switch {
	case logs > 0:
	case o.Previous:
		f.IO.Note("no container of %s has been restarted, so there is no log of a run before", target.Service)
	default:
		f.IO.Note("no pod of %s runs now, so there are no logs: it is scaled to zero, and the next request starts one", target.Service)
	}
	return nil
}

// podSuffix is the part of a pod's name that tells it from its siblings.
func podSuffix(line cluster.LogLine) string {
	const suffix = 5 // of a replica set's pods
	return line.Pod[max(0, len(line.Pod)-suffix):]
}
