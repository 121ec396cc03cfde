package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
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

func newLogsCmd(f *Factory) *cobra.Command {
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
		ValidArgsFunction: f.completeServices(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runLogs(cmd.Context(), f, o)
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
	f.completeServiceFlag(cmd)
	f.completeRevisionFlag(cmd)
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
	service, err := f.serviceName(o.Service)
	if err != nil {
		return err
	}
	client, err := f.Cluster()
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, 0)
	defer cancel()
	// Reading the service first tells a wrong name from one without pods.
	_, known, err := knownTargets(ctx, client.Traffic(), service)
	if err != nil {
		return err
	}
	options := cluster.LogOptions{
		Service: service, Container: o.Container, AllContainers: o.All, Previous: o.Previous,
		Follow: o.Follow, Since: o.Since, Tail: o.Tail,
	}
	if o.Revision != "" {
		if options.Revision, err = oneRevision(known, o.Revision); err != nil {
			return err
		}
	}
	prefix, err := f.logPrefix(ctx, client, options)
	if err != nil {
		return err
	}
	if o.Follow {
		f.IO.Note("following the logs of %s; interrupt to stop", service)
	}
	logs, err := client.Logs(ctx, options, func(line cluster.LogLine) error {
		switch {
		case prefix && o.All:
			return f.IO.LogLine(fmt.Sprintf("[%s %s %s] ", shortRevision(service, line.Revision), podSuffix(line), line.Container), line.Text)
		case prefix:
			return f.IO.LogLine(fmt.Sprintf("[%s %s] ", shortRevision(service, line.Revision), podSuffix(line)), line.Text)
		}
		return f.IO.LogLine("", line.Text)
	})
	if err != nil {
		return err
	}
	switch {
	case logs > 0:
	case o.Previous:
		f.IO.Note("no container of %s has been restarted, so there is no log of a run before", service)
	default:
		f.IO.Note("no pod of %s runs now, so there are no logs: it is scaled to zero, and the next request starts one", service)
	}
	return nil
}

// logPrefix reports whether lines of several containers can mix.
func (f *Factory) logPrefix(ctx context.Context, client *cluster.Client, o cluster.LogOptions) (bool, error) {
	if o.Follow || o.AllContainers {
		return true, nil
	}
	pods, err := client.ListPods(ctx, o.Selector())
	return len(pods) > 1, err
}

// podSuffix is the part of a pod's name that tells it from its siblings.
func podSuffix(line cluster.LogLine) string {
	const suffix = 5 // of a replica set's pods
	return line.Pod[max(0, len(line.Pod)-suffix):]
}

// knownTargets reads everything that a reference to a target can mean.
func knownTargets(ctx context.Context, store traffic.Store, service string) (*traffic.Snapshot, traffic.Known, error) {
	snap, err := store.Snapshot(ctx, service)
	if err != nil {
		return nil, traffic.Known{}, err
	}
	revisions, err := store.Revisions(ctx, service)
	if err != nil {
		return nil, traffic.Known{}, err
	}
	return snap, traffic.Known{Service: service, Revisions: revisions, LatestReady: snap.LatestReady, Split: snap.Spec.Normal()}, nil
}

// oneRevision is the revision that a reference leads to now.
func oneRevision(known traffic.Known, ref string) (string, error) {
	resolved, err := traffic.Resolve(known, traffic.Edit{{Ref: ref, Percent: 100}})
	if err != nil {
		return "", err
	}
	name := resolved[0].Target.Pin(known.LatestReady)
	if name == traffic.Latest {
		return "", fault.New(fault.NotFound, "traffic.resolve", "service/"+known.Service, "no revision of it is ready yet")
	}
	return name, nil
}
