package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type trafficUndoOptions struct {
	trafficChange
	Undo traffic.Undo
}

func newTrafficUndoCmd(f *Factory, runF func(context.Context, *trafficUndoOptions) error) *cobra.Command {
	o := &trafficUndoOptions{}
	cmd := &cobra.Command{
		Use:   "undo [SERVICE]",
		Short: "Bring a former split back, exactly",
		Long: `Bring back a split that the service had before: every revision, share and tag of
it, and nothing else. Without a flag it is the one before the present split.

An undo is a change like others, and the split that it replaces joins the history:
a second undo takes the first one back. traffic history shows where --steps and
--to lead. A split with a revision that is gone or not ready cannot come back.`,
		Example: `  kn-lite traffic undo
  kn-lite traffic undo hello --steps 3
  kn-lite traffic undo --to 14 --dry-run`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeServices(f, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.check()
			if err != nil {
				return err
			}
			switch flags := cmd.Flags(); {
			case flags.Changed("steps") && flags.Changed("to"):
				return fault.Usagef("--steps and --to both say how far to go back").WithHint("give one of them")
			case flags.Changed("steps") && o.Undo.Steps < 1:
				return fault.Usagef("--steps %d: at least one step can be undone", o.Undo.Steps)
			case flags.Changed("to") && o.Undo.To < 1:
				return fault.Usagef("--to %d: generations begin at 1", o.Undo.To).WithHint("`kn-lite traffic history` shows those that it knows")
			}
			if err := serviceArg(&o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runTrafficUndo)(cmd.Context(), o)
		},
	}
	o.add(cmd)
	cmd.Flags().IntVar(&o.Undo.Steps, "steps", 0, "how many changes to go back (default 1)")
	cmd.Flags().Int64Var(&o.Undo.To, "to", 0, "the `GENERATION` of a split in traffic history, instead of --steps")
	completeServiceFlag(f, cmd)
	completeGenerations(f, cmd)
	return cmd
}

func runTrafficUndo(ctx context.Context, f *Factory, o *trafficUndoOptions) error {
	return changeTraffic(ctx, f, &o.trafficChange, traffic.Request{Undo: &o.Undo})
}

// completeGenerations offers the former splits of the service for --to and --steps.
func completeGenerations(f *Factory, cmd *cobra.Command) {
	for flag, number := range map[string]func(steps int, p traffic.Past) string{
		"to":    func(_ int, p traffic.Past) string { return strconv.FormatInt(p.Generation, 10) },
		"steps": func(steps int, _ traffic.Past) string { return strconv.Itoa(steps) },
	} {
		// The flags are registered by the caller, so an error here cannot happen.
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return fromSnapshot(f, cmd, args, func(snap *traffic.Snapshot) ([]string, error) {
				past, err := snap.Past()
				var out []string
				for i := len(past) - 1; i >= 0; i-- {
					out = append(out, cobra.CompletionWithDesc(number(len(past)-i, past[i]), fmt.Sprint(past[i].Split)))
				}
				return out, err
			})
		})
	}
}
