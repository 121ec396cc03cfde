package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// localDownTimeout is how long a platform may take to stop before it is killed.
const localDownTimeout = 20 * time.Second

type localDownOptions struct{ Purge bool }

func newLocalDownCmd(f *Factory, runF func(context.Context, *localDownOptions) error) *cobra.Command {
	o := &localDownOptions{}
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the platform",
		Long: `Down stops the platform and everything that runs on it. Services and images
are there again after the next ` + "`kn-lite local up`" + `; with --purge they are removed.
A platform that does not run is no error.`,
		Example: `  kn-lite local down
  kn-lite local down --purge`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runner(f, runF, runLocalDown)(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.Purge, "purge", false, "remove services, images and everything else that it has kept")
	return cmd
}

func runLocalDown(ctx context.Context, f *Factory, o *localDownOptions) error {
	ctx, cancel := f.withTimeout(ctx, localDownTimeout)
	defer cancel()
	return f.App().LocalDown(ctx, o.Purge)
}
