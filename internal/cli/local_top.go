package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/local/view"
	"github.com/kn-lite/kn-lite/internal/term"
	"github.com/kn-lite/kn-lite/internal/top"
)

// topEvery is how often the platform is asked: requests per second are worked out
// between two answers.
const topEvery = time.Second

func newLocalTopCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "top",
		Short: "Show services, revisions, instances and requests, live",
		Long: `Top shows what the platform does, every second: the split of each service, its
instances, requests per second and how long they take. The arrow keys move, / finds
services, q ends it.

Without a terminal, and with -o, it shows the state once.`,
		Example: `  kn-lite local top
  kn-lite local top -o jsonpath='{.services[*].name}'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLocalTop(cmd.Context(), f) },
	}
}

// localState is what -o json shows.
type localState struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	view.State
}

func runLocalTop(ctx context.Context, f *Factory) error {
	info, err := localRunning(f)
	if err != nil {
		return err
	}
	if f.Flags.Output == "" && f.IO.Interactive() {
		return f.IO.Watch(ctx, func(ctx context.Context, show func(term.Screen)) error {
			return top.Watch(ctx, f.localPlace(), topEvery, show)
		})
	}
	ctx, cancel := f.withTimeout(ctx, 0)
	defer cancel()
	state, err := info.State(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(state.Services))
	for i, svc := range state.Services {
		names[i] = svc.Namespace + "/" + svc.Name
	}
	return f.print(answer{Object: localState{apiVersion, "LocalState", *state}, Names: names, Table: func() error {
		if len(state.Services) == 0 {
			f.IO.Note("%s", top.Empty)
		}
		return f.IO.Write(top.Table(state))
	}})
}
