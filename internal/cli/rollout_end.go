package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
)

type rolloutStatusOptions struct{ Service string }

func newRolloutStatusCmd(f *Factory, runF func(context.Context, *rolloutStatusOptions) error) *cobra.Command {
	o := &rolloutStatusOptions{}
	cmd := &cobra.Command{
		Use:   "status [SERVICE]",
		Short: "Show the rollout of a service that is under way, or the last one",
		Long: `Show the rollout of a service that is under way, or the last one: its revision, its
step, who runs it, and why it has ended or been paused.

The phase is one of running, paused, abandoned (nothing has been heard of who runs it:
start goes on with it), done, promoted, rolled-back, aborted, and superseded (somebody
else has changed the service).`,
		Example: `  kn-lite rollout status
  kn-lite rollout status hello -o jsonpath={.phase}`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runRolloutStatus)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	completeServiceFlag(f, cmd)
	return cmd
}

func runRolloutStatus(ctx context.Context, f *Factory, o *rolloutStatusOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, readTimeout)
	defer cancel()
	r, err := f.App().RolloutStatus(ctx, target)
	if err != nil {
		return err
	}
	return printRollout(f, r)
}

type rolloutEndOptions struct {
	Service string
	NoWait  bool
	promote bool
}

func newRolloutPromoteCmd(f *Factory, runF func(context.Context, *rolloutEndOptions) error) *cobra.Command {
	return newRolloutEndCmd(f, runF, true, &cobra.Command{
		Use:   "promote [SERVICE]",
		Short: "Give the revision of a rollout its last share at once",
		Long: `Give the revision of a rollout the share of the last step at once, without looking at
how it does. Works on a rollout that is paused and on one that runs, here or on
another machine: it ends there.`,
		Example: `  kn-lite rollout promote
  kn-lite rollout promote hello`,
	})
}

func newRolloutAbortCmd(f *Factory, runF func(context.Context, *rolloutEndOptions) error) *cobra.Command {
	return newRolloutEndCmd(f, runF, false, &cobra.Command{
		Use:   "abort [SERVICE]",
		Short: "Bring back the split from before a rollout",
		Long: `Bring back the split from before a rollout, exactly as it was. Works on a rollout that
is paused and on one that runs, here or on another machine: it ends there, with exit
code 9. A split that somebody has set since stays as it is.`,
		Example: `  kn-lite rollout abort
  kn-lite rollout abort hello`,
	})
}

func newRolloutEndCmd(f *Factory, runF func(context.Context, *rolloutEndOptions) error, promote bool, cmd *cobra.Command) *cobra.Command {
	o := &rolloutEndOptions{promote: promote}
	cmd.Args = cobra.MaximumNArgs(1)
	cmd.ValidArgsFunction = completeServices(f, 1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := serviceArg(&o.Service, args); err != nil {
			return err
		}
		return runner(f, runF, runRolloutEnd)(cmd.Context(), o)
	}
	addServiceFlag(cmd, &o.Service)
	cmd.Flags().BoolVar(&o.NoWait, "no-wait", false, "do not wait until the cluster routes as asked")
	completeServiceFlag(f, cmd)
	return cmd
}

func runRolloutEnd(ctx context.Context, f *Factory, o *rolloutEndOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, routeTimeout)
	defer cancel()
	end := f.App().AbortRollout
	if o.promote {
		end = f.App().PromoteRollout
	}
	ended, err := end(ctx, app.EndRequest{Target: target, By: who(f), NoWait: o.NoWait})
	if err != nil {
		return err
	}
	if ended.Left != "" {
		return fault.New(fault.Conflict, "rollout.abort", "service/"+target.Service, "the rollout is over, and the split stays: %s", ended.Left).
			WithHint("traffic: %s\nbefore the rollout it was %s", ended.Snap.Spec.Normal(), ended.Before)
	}
	return printRollout(f, &ended.Rollout)
}
