package cli

import (
	"context"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func newLocalDashboardCmd(f *Factory) *cobra.Command {
	var open bool
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Print the address that opens the dashboard",
		Long: `Dashboard prints the address of the page that shows what the platform does. The key
in it opens the page for you alone: whoever has it can see services and logs, and change
splits. It stays the same until ` + "`kn-lite local down --purge`" + `.`,
		Example: `  kn-lite local dashboard
  kn-lite local dashboard --open`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLocalDashboard(cmd.Context(), f, open) },
	}
	cmd.Flags().BoolVar(&open, "open", false, "open it in the browser (xdg-open)")
	return cmd
}

// localDashboard is what -o json shows.
type localDashboard struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	URL        string `json:"url"`
}

func runLocalDashboard(ctx context.Context, f *Factory, open bool) error {
	info, err := localRunning(f)
	if err != nil {
		return err
	}
	address := info.Dashboard()
	err = f.print(answer{Object: localDashboard{apiVersion, "LocalDashboard", address}, Names: []string{address}, Table: func() error { return f.IO.Answer("%s", address) }})
	if err != nil || !open {
		return err
	}
	const opener = "xdg-open"
	program, err := exec.LookPath(opener)
	if err != nil {
		return fault.New(fault.NotFound, "local.dashboard", opener, "there is no such program").WithHint("open the address in a browser yourself")
	}
	cmd := exec.CommandContext(ctx, program, address)
	cmd.Env = f.Sys.Vars
	if out, err := cmd.CombinedOutput(); err != nil {
		f.IO.Raw(string(out))
		return fault.New(fault.Failure, "local.dashboard", opener, "%w", err).WithHint("open the address in a browser yourself")
	}
	return nil
}
