package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

type trafficTagOptions struct {
	trafficChange
	Tags []traffic.Tagging
}

func newTrafficTagCmd(f *Factory, runF func(context.Context, *trafficTagOptions) error) *cobra.Command {
	o := &trafficTagOptions{}
	cmd := &cobra.Command{
		Use:   "tag TARGET=TAG...",
		Short: "Give revisions tags, which are URLs of their own",
		Long: `Give revisions tags. A tag gives a revision a URL of its own, whatever its share:
who gets how much does not change. A tag that leads to another revision moves. A
revision may have several tags; a tag of @latest goes with every deploy.

A TARGET is written as in traffic split. Its revision has to be ready, since
Knative takes up a split only when all of its revisions are.`,
		Example: `  kn-lite traffic tag v2=next
  kn-lite traffic tag -s hello @stable=blue git:1a2b3c4=green`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeTargets(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.check()
			if err != nil {
				return err
			}
			if o.Tags, err = traffic.ParseTags(args); err != nil {
				return err
			}
			if o.Service, err = serviceName(o.Service); err != nil {
				return err
			}
			return runner(f, runF, runTrafficTag)(cmd.Context(), o)
		},
	}
	o.add(cmd)
	completeServiceFlag(f, cmd)
	return cmd
}

func runTrafficTag(ctx context.Context, f *Factory, o *trafficTagOptions) error {
	return changeTraffic(ctx, f, &o.trafficChange, traffic.Request{Tag: o.Tags})
}
