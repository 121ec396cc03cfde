package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type trafficUntagOptions struct {
	trafficChange
	Tags []string
}

func newTrafficUntagCmd(f *Factory, runF func(context.Context, *trafficUntagOptions) error) *cobra.Command {
	o := &trafficUntagOptions{}
	cmd := &cobra.Command{
		Use:   "untag TAG...",
		Short: "Remove tags and their URLs",
		Long: `Remove tags of a service. Their URLs stop answering; the traffic stays: a tagged
revision with a share keeps it under its name.

A tag of a revision that is gone or not ready holds up every change of the split,
because Knative takes up a split only when all of its revisions are ready.`,
		Example: `  kn-lite traffic untag next
  kn-lite traffic untag -s hello pr-7 pr-8`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeTags(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Tags = args
			if slices.Contains(args, "") {
				return fault.Usagef("a tag's name is empty")
			}
			err := o.check()
			if err != nil {
				return err
			}
			if o.Service, err = serviceName(o.Service); err != nil {
				return err
			}
			return runner(f, runF, runTrafficUntag)(cmd.Context(), o)
		},
	}
	o.add(cmd)
	completeServiceFlag(f, cmd)
	return cmd
}

func runTrafficUntag(ctx context.Context, f *Factory, o *trafficUntagOptions) error {
	return changeTraffic(ctx, f, &o.trafficChange, traffic.Request{Untag: o.Tags})
}

// completeTags offers the tags of the service.
func completeTags(f *Factory) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return tagCompletions(f, cmd, nil)
	}
}

// tagCompletions offers the tags of the service of a command line.
func tagCompletions(f *Factory, cmd *cobra.Command, args []string) ([]string, cobra.ShellCompDirective) {
	return fromSnapshot(f, cmd, args, func(snap *traffic.Snapshot) ([]string, error) {
		var tags []string
		for _, t := range snap.Spec {
			if t.Tag != "" {
				tags = append(tags, t.Tag)
			}
		}
		return tags, nil
	})
}
