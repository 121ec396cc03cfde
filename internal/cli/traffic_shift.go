package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type trafficShiftOptions struct {
	trafficChange
	Move traffic.Move
	by   string
}

func newTrafficShiftCmd(f *Factory, runF func(context.Context, *trafficShiftOptions) error) *cobra.Command {
	o, verify := &trafficShiftOptions{}, &verifyFlags{}
	cmd := &cobra.Command{
		Use:   "shift [SERVICE] {TARGET +N | TARGET -N | FROM TO N}",
		Short: "Move some percent of the traffic from one revision to another",
		Long: `Move some percent of all requests from one target to another. With one target and
+N it gets N percent more, which the others give in proportion to their shares; with
-N the others get what it gives. A TARGET is written as in traffic split, and means
every line of the split that leads to that revision.

A shift says what is to change and not what the split is to be in the end. So it is
applied to whatever the split is when it is written: of shifts at the same time none
is lost, and none fails because of the others. A share that is not there cannot be
moved: the exit code is 6 then, and nothing is written.`,
		Example: `  # Ten percent more for v2, at the cost of all others
  kn-lite traffic shift v2 +10

  # And back
  kn-lite traffic shift v2 -10

  # A quarter of all requests from v1 to v2, whoever else gets some
  kn-lite traffic shift -s hello v1 v2 25`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeShift(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.check()
			if err != nil {
				return err
			}
			if err := verify.fill(&o.trafficChange); err != nil {
				return err
			}
			if o.by != "" {
				args = append(slices.Clone(args), o.by)
			}
			if o.Service, o.Move, err = shiftArgs(o.Service, args); err != nil {
				return err
			}
			return runner(f, runF, runTrafficShift)(cmd.Context(), o)
		},
	}
	o.add(cmd)
	verify.add(cmd)
	cmd.Flags().StringVar(&o.by, byFlag, "", "the `AMOUNT`, where it is not the last argument: +10, -10 or 10")
	completeServiceFlag(f, cmd)
	return cmd
}

func runTrafficShift(ctx context.Context, f *Factory, o *trafficShiftOptions) error {
	return changeTraffic(ctx, f, &o.trafficChange, traffic.Request{Move: &o.Move})
}

const byFlag = "by"

// withoutDashes returns args with the amounts of traffic shift that begin with a dash
// as a flag's value: parsers of flags take -10 for flags.
func withoutDashes(root *cobra.Command, args []string) []string {
	cmd, _, err := root.Find(args)
	if err != nil || cmd.Flags().Lookup(byFlag) == nil {
		return args
	}
	out := slices.Clone(args)
	for i, arg := range out {
		if arg == "--" {
			break
		}
		if strings.HasPrefix(arg, "-") && traffic.IsAmount(arg) && (i == 0 || !wantsValue(cmd, out[i-1])) {
			out[i] = "--" + byFlag + "=" + arg
		}
	}
	return out
}

// wantsValue reports whether the argument after a flag is its value.
func wantsValue(cmd *cobra.Command, arg string) bool {
	var flag *pflag.Flag
	name, long := strings.CutPrefix(arg, "--")
	switch {
	case strings.Contains(arg, "="):
		return false
	case long:
		if flag = cmd.Flags().Lookup(name); flag == nil {
			flag = cmd.InheritedFlags().Lookup(name)
		}
	case strings.HasPrefix(arg, "-") && len(arg) == 2:
		if flag = cmd.Flags().ShorthandLookup(arg[1:]); flag == nil {
			flag = cmd.InheritedFlags().ShorthandLookup(arg[1:])
		}
	}
	return flag != nil && flag.NoOptDefVal == ""
}

// shiftArgs tells SERVICE from the targets and the amount.
func shiftArgs(named string, args []string) (string, traffic.Move, error) {
	refs, amount := args[:len(args)-1], args[len(args)-1]
	if ref, share, ok := strings.Cut(amount, "="); ok && ref != "" {
		refs, amount = append(slices.Clone(refs), ref), share // v2=+10
	}
	if !traffic.IsAmount(amount) {
		return "", traffic.Move{}, fault.Usagef("%q is not a number of percent: how much is to move?", amount).WithHint("e.g. v2 +10, v2 -10 or v1 v2 10")
	}
	service := named
	if named == "" && len(refs) > 1 {
		first, err := namesService(refs, amount)
		if err != nil {
			return "", traffic.Move{}, err
		}
		if first {
			service, refs = refs[0], refs[1:]
		}
	}
	move, err := traffic.ParseMove(refs, amount)
	if err != nil {
		return "", traffic.Move{}, err
	}
	service, err = serviceName(service)
	return service, move, err
}

// namesService reports whether the first of several references is the service: when
// there are three, or when the amount has a sign, which one target wants, unless the
// folder says which service it is.
func namesService(refs []string, amount string) (bool, error) {
	if len(refs) != 2 {
		return true, nil
	}
	project, err := app.FindProject(".")
	if err != nil || project != nil && project.Name != refs[0] {
		return false, err
	}
	return strings.ContainsAny(amount[:1], "+-"), nil
}

// completeShift offers targets, and the services as long as none is known.
func completeShift(f *Factory) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return bareTargets(f, cmd, args)
	}
}
