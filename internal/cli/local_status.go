package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local"
)

func newLocalStatusCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show whether the platform runs, and where",
		Long: `Status shows the platform's addresses. It exits with 5 when the platform does
not run.`,
		Example: `  kn-lite local status
  kn-lite local status -o jsonpath='{.url}'`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return runLocalStatus(f) },
	}
}

func runLocalStatus(f *Factory) error {
	info, err := f.localPlace().Running()
	if err != nil {
		return err
	}
	object := describeLocal(f, info)
	err = f.print(answer{Object: object, Names: names(info), Table: func() error {
		if info == nil {
			return nil
		}
		instances := "in sandboxes, network " + info.Network
		if !info.Isolated {
			instances = "plain processes, since this machine permits no sandbox"
		}
		for _, line := range [][2]string{
			{"Dashboard", object.URL},
			{"API server", info.API},
			{"Registry", info.Registry()},
			{"Context", cluster.LocalContext},
			{"Instances", instances},
			{"Process", fmt.Sprintf("%d, since %s", info.PID, info.Started.Local().Format("2006-01-02 15:04:05"))},
			{"Folder", object.Folder},
		} {
			if err := f.IO.Answer("%-11s %s", line[0]+":", line[1]); err != nil {
				return err
			}
		}
		return nil
	}})
	if err == nil && info == nil {
		_, err = localRunning(f)
	}
	return err
}

func names(info *local.Info) []string {
	if info == nil {
		return nil
	}
	return []string{cluster.LocalContext}
}

func newLocalLogsCmd(f *Factory) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Show what a platform in the background has said",
		Example: `  kn-lite local logs
  kn-lite local logs -f`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.localPlace().CopyLog(cmd.Context(), follow, f.IO.Out)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until Ctrl-C or the platform's end")
	return cmd
}

// unit starts the platform with the user's session. %% is systemd's percent sign.
const unit = `# Save as ~/.config/systemd/user/kn-lite.service, then:
#   systemctl --user daemon-reload
#   systemctl --user enable --now kn-lite
[Unit]
Description=kn-lite local: functions on this machine

[Service]
ExecStart=%q local up
Restart=on-failure
KillMode=mixed
TimeoutStopSec=30

[Install]
WantedBy=default.target`

func newLocalUnitCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:     "unit",
		Short:   "Print a systemd unit that starts the platform with your session",
		Example: `  kn-lite local unit > ~/.config/systemd/user/kn-lite.service`,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runLocalUnit(cmd.Context(), f) },
	}
}

func runLocalUnit(_ context.Context, f *Factory) error {
	program, err := os.Executable()
	if err != nil {
		return fault.New(fault.Failure, "local.unit", "", "%w", err)
	}
	return f.IO.Lines(fmt.Sprintf(unit, program))
}
