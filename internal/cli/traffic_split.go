package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type trafficSplitOptions struct {
	trafficChange
	Edit    traffic.Edit
	Rescale bool // the targets that Edit does not name share the rest
	Tag     []traffic.Tagging
	Untag   []string
}

func newTrafficSplitCmd(f *Factory, runF func(context.Context, *trafficSplitOptions) error) *cobra.Command {
	o, others, verify := &trafficSplitOptions{}, &otherToolsFlags{}, &verifyFlags{}
	cmd := &cobra.Command{
		Use:     "split [SERVICE] TARGET=PERCENT...",
		Aliases: []string{"set", "update"},
		Short:   "Divide traffic between revisions by percentages",
		Long: `Divide the traffic of a service between revisions. The percentages are whole and
sum to 100; one target may leave out its share and takes the rest. Revisions that
are not named get nothing; tags that are not named stay.

A TARGET is one of
  v2              the revision SERVICE-v2
  hello-v2        a revision by its full name
  next            a tag (tag:next where a revision has the same name)
  @latest         the newest ready revision, now and after the next deploy
  @prev           the ready revision before the newest ready one
  @stable         the revision with the largest share now
  git:1a2b3c4     the revision built from a commit
  sha256:1a2b3c4  the revision with that image digest

Nothing is sent to a revision that is not ready; a tag on one, or on one that is
gone, has to be removed first (traffic untag). If somebody else changes the
split meanwhile, nothing is written, the difference is shown and the exit code
is 6. The command waits until the cluster routes as asked.

With --verify requests are sent then, until what they meet fits the split; the exit
code is 8 when it does not, and 1 where nothing tells which revision has answered.

Who comes from kn or gcloud finds their flags here. --traffic, --tag and --untag are
kn's: tags are removed, then given, then the traffic is divided, in one write.
--to-revisions, --to-tags and --to-latest are gcloud's: who is not named keeps its
proportion of what is left.`,
		Example: `  # Half and half
  kn-lite traffic split v1=50 v2=50

  # A tenth to the newest revision, the rest to v1, of a service elsewhere
  kn-lite traffic split -s hello @latest=10 v1

  # See what would change
  kn-lite traffic split v2=100 --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if others.given(cmd) {
				return cobra.MaximumNArgs(1)(cmd, args)
			}
			return cobra.MinimumNArgs(1)(cmd, args)
		},
		ValidArgsFunction: completeTargets(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.check()
			if err != nil {
				return err
			}
			if err := verify.fill(&o.trafficChange); err != nil {
				return err
			}
			if others.given(cmd) {
				err = others.fill(cmd, o, args)
			} else {
				o.Service, o.Edit, err = splitArgs(f, o.Service, args)
			}
			if err != nil {
				return err
			}
			return runner(f, runF, runTrafficSplit)(cmd.Context(), o)
		},
	}
	o.add(cmd)
	verify.add(cmd)
	others.add(cmd)
	completeServiceFlag(f, cmd)
	completeOtherTools(f, cmd)
	return cmd
}

// splitArgs tells SERVICE from the targets. The first argument is a service
// when --service is not given, it has no share, and either the others are a
// whole split without it or there is no project to infer the service from.
func splitArgs(f *Factory, named string, args []string) (string, traffic.Edit, error) {
	service, targets := named, args
	if named == "" && !traffic.HasShare(args[0]) {
		whole := false
		if len(args) > 1 {
			_, err := traffic.Parse(args[1:])
			whole = err == nil
		}
		project, err := app.FindProject(".")
		if err != nil {
			return "", nil, err
		}
		if whole || project == nil {
			service, targets = args[0], args[1:]
		}
	}
	if len(targets) == 0 {
		return "", nil, fault.Usagef("how is the traffic of %s to be split?", service).
			WithHint("name targets and shares, e.g. kn-lite traffic split %s v1=50 v2=50", service)
	}
	edit, err := traffic.Parse(targets)
	if err != nil {
		return "", nil, err
	}
	service, err = serviceName(service)
	return service, edit, err
}

func runTrafficSplit(ctx context.Context, f *Factory, o *trafficSplitOptions) error {
	return changeTraffic(ctx, f, &o.trafficChange, traffic.Request{Edit: o.Edit, Rescale: o.Rescale, Tag: o.Tag, Untag: o.Untag})
}
