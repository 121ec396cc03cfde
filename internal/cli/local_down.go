package cli

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local"
)

// localDownTimeout is how long a platform may take to stop before it is killed.
const localDownTimeout = 20 * time.Second

func newLocalDownCmd(f *Factory) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the platform",
		Long: `Down stops the platform and everything that runs on it. Services and images
are there again after the next ` + "`kn-lite local up`" + `; with --purge they are removed.
A platform that does not run is no error.`,
		Example: `  kn-lite local down
  kn-lite local down --purge`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLocalDown(cmd.Context(), f, purge) },
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove services, images and everything else that it has kept")
	return cmd
}

func runLocalDown(ctx context.Context, f *Factory, purge bool) error {
	place := f.localPlace()
	ctx, cancel := f.withTimeout(ctx, localDownTimeout)
	defer cancel()
	info, err := place.Settled(ctx) // one that is about to serve is stopped, too
	if err != nil {
		return err
	}
	if info == nil {
		f.IO.Note("the platform does not run")
		if err := forgetLocal(f, place); err != nil {
			return err
		}
	} else if err := stopLocal(ctx, info); err != nil {
		return err
	} else {
		f.IO.Step("the platform has stopped")
	}
	if !purge {
		return nil
	}
	if err := local.Purge(ctx, localOptions(f)); err != nil {
		return err
	}
	f.IO.Step("removed everything in %s", place.Dir)
	return nil
}

// forgetLocal takes back what a killed platform has left in the kubeconfig.
func forgetLocal(f *Factory, place local.Place) error {
	killed, err := place.Killed()
	if err != nil || killed == nil {
		return err
	}
	if err := cluster.RemoveContext(f.clusterOptions(""), cluster.LocalContext, killed.Previous); err != nil {
		return err
	}
	return place.Forget()
}

// stopLocal asks the platform to end, and kills it when it does not: its instances
// end with it in any case.
func stopLocal(ctx context.Context, info *local.Info) error {
	process, err := os.FindProcess(info.PID)
	if err != nil {
		return fault.New(fault.Failure, "local.down", "", "%w", err)
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		return fault.New(fault.Failure, "local.down", "", "process %d: %w", info.PID, err)
	}
	tick := time.NewTicker(localEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			if err := process.Kill(); err != nil {
				return fault.New(fault.Timeout, "local.down", "", "process %d does not end: %w", info.PID, err)
			}
			return fault.New(fault.Timeout, "local.down", "", "process %d did not end in time, and was killed", info.PID)
		}
		// The folder may belong to the next one by then.
		if !local.Alive(info.PID) {
			return nil
		}
	}
}
