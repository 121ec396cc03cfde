package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type rollbackOptions struct {
	Service  string
	Revision string
	DryRun   bool
	NoWait   bool
}

func newRollbackCmd(f *Factory, runF func(context.Context, *rollbackOptions) error) *cobra.Command {
	o := &rollbackOptions{}
	cmd := &cobra.Command{
		Use:     "rollback [SERVICE] [REVISION]",
		Short:   "Go back to the last good split, or to a revision",
		GroupID: groupTraffic,
		Long: `Bring back the last split of the service's history whose revisions are all ready, or
give all of the traffic to REVISION. A rollout that is under way ends, here or on
another machine, and the split from before it comes back.

The split that is left does not join the history: going back twice goes further back,
and never forward to what has just been left. Name the revision for that.

The image and settings of the service stay as they are: the next deploy goes on from
there.`,
		Example: `  kn-lite rollback
  kn-lite rollback v1
  kn-lite rollback hello --dry-run`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: completeServiceAndRevision(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Service, o.Revision, err = revisionArgs(o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runRollback)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "show what would change and write nothing")
	cmd.Flags().BoolVar(&o.NoWait, "no-wait", false, "do not wait until the cluster routes as asked")
	completeServiceFlag(f, cmd)
	return cmd
}

func runRollback(ctx context.Context, f *Factory, o *rollbackOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, routeTimeout)
	defer cancel()
	result, err := f.App().Rollback(ctx, app.RollbackRequest{
		Target: target, Revision: o.Revision, By: who(f), DryRun: o.DryRun, NoWait: o.NoWait,
		Preview: func(result traffic.Result) error { previewSplit(f.IO, target.Service, result); return nil },
	})
	if err != nil {
		return err
	}
	if o.DryRun {
		f.IO.Note("dry run: nothing was written")
	}
	return printChange(f, result, o.DryRun)
}
