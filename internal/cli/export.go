package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
)

type exportOptions struct {
	Service string
	Traffic bool
}

func newExportCmd(f *Factory, runF func(context.Context, *exportOptions) error) *cobra.Command {
	o := &exportOptions{}
	cmd := &cobra.Command{
		Use:     "export [SERVICE]",
		Short:   "Print a service as a file that kubectl, Argo CD or Flux apply",
		GroupID: groupDayTwo,
		Long: `Print a live service as it would stand in a file: what is asked for, without
status, without what servers and tools note on it, and without the names of
revisions, so that it can be applied here and elsewhere. A deploy after that
finds nothing changed.

The split is left out: it names revisions, and where a file does not speak of
it, who applies the file leaves it alone, unless an earlier one had it.
--traffic prints it too.`,
		Example: `  kn-lite export hello > hello.yaml
  kn-lite export hello -n staging | kubectl apply -n production -f -`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runExport)(cmd.Context(), o)
		},
	}
	addServiceFlag(cmd, &o.Service)
	cmd.Flags().BoolVar(&o.Traffic, "traffic", false, "print the split of the traffic too")
	completeServiceFlag(f, cmd)
	return cmd
}

func runExport(ctx context.Context, f *Factory, o *exportOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, readTimeout)
	defer cancel()
	manifest, err := f.App().Export(ctx, app.ExportRequest{Target: target, Traffic: o.Traffic})
	if err != nil {
		return err
	}
	return printService(f, target.Service, manifest)
}
