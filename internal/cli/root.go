package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
)

const rootLong = `kn-lite takes a folder of code to a live, traffic-managed Knative revision:
scaffold, build an OCI image with no container engine, push it, create a
revision, wait until it truly serves, and move traffic by percentages.`

const rootExample = `  # From nothing to a live function
  kn-lite func create hello -l go && cd hello
  kn-lite deploy

  # Change the code, keep the first revision serving half of the requests
  kn-lite deploy
  kn-lite traffic split v1=50 v2=50`

// Command groups, in the order in which help lists them.
const (
	groupStart   = "start"
	groupTraffic = "traffic"
	groupDayTwo  = "daytwo"
)

func newRootCmd(f *Factory) *cobra.Command {
	root := &cobra.Command{
		Use:           program,
		Short:         "Deploy functions to Knative, with no container engine",
		Long:          rootLong,
		Example:       rootExample,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := checkEmpty(cmd, f.Sys.Args[1:], args); err != nil {
				return err
			}
			f.settingFlags = settingFlags(cmd)
			return f.applyGlobals()
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	root.SetOut(f.IO.Out)
	root.SetErr(f.IO.Err)
	root.SetIn(f.IO.In)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return (&fault.Error{Op: "usage", Kind: fault.Usage, Err: err}).WithHint("see `%s --help`", cmd.CommandPath())
	})
	root.AddGroup(
		&cobra.Group{ID: groupStart, Title: "From code to a live function:"},
		&cobra.Group{ID: groupTraffic, Title: "Traffic:"},
		&cobra.Group{ID: groupDayTwo, Title: "Day two:"},
	)
	root.SetUsageTemplate(usageTemplate)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	addGlobalFlags(root, f)
	completeGlobals(f, root)
	root.AddCommand(
		newBuildCmd(f, nil),
		newPushCmd(f, nil),
		newImageCmd(f),
		newRunCmd(f, nil),
		newDeployCmd(f, nil),
		newPlanCmd(f, nil),
		newLocalCmd(f),
		newTrafficCmd(f),
		newPreviewCmd(f),
		newRolloutCmd(f),
		newRollbackCmd(f, nil),
		newListCmd(f, nil),
		newDescribeCmd(f, nil),
		newExportCmd(f, nil),
		newDeleteCmd(f, nil),
		newRevisionCmd(f),
		newColdStartCmd(f, nil),
		newLogsCmd(f, nil),
		newInvokeCmd(f, nil),
		newRegistryCmd(f),
		newDoctorCmd(f, nil),
		newConfigCmd(f),
		newFuncCmd(f),
		newBuilderCmd(f),
		newVersionCmd(f),
		newInternalCmd(f),
	)
	wrapArgs(root)
	nameAsInvoked(root, f.Sys.Args[0])
	f.typed = func(text string) string { return asInvoked(root, text) }
	return root
}

func addGlobalFlags(root *cobra.Command, f *Factory) {
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.StringVarP(&f.Flags.Namespace, "namespace", "n", "", "namespace (default: $KN_LITE_NAMESPACE, then func.yaml's, the settings', the context's, \"default\")")
	flags.StringVar(&f.Flags.Context, "context", "", "context of the kubeconfig to use")
	flags.StringVar(&f.Flags.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)")
	flags.StringVarP(&f.Flags.Output, "output", "o", "", "table, json, yaml, name, events, jsonpath=TEMPLATE or go-template=TEMPLATE")
	flags.BoolVarP(&f.Flags.Quiet, "quiet", "q", false, "print the answer and errors only")
	flags.BoolVarP(&f.Flags.Verbose, "verbose", "v", false, "show details of what is done")
	flags.StringVar(&f.Flags.Color, "color", "auto", "colour: auto, always or never")
	flags.BoolVar(&f.Flags.NoInput, "no-input", false, "never ask a question")
	flags.DurationVar(&f.Flags.Timeout, "timeout", 0, "give up after this long, e.g. 90s or 10m (default: the command's own)")
	addPipelineFlags(root, f)
	complete := func(values ...string) cobra.CompletionFunc {
		return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	}
	// Both names are registered above, so an error here cannot happen.
	_ = root.RegisterFlagCompletionFunc("output", complete("table", "json", "yaml", "name", eventsOutput, "jsonpath=", "go-template="))
	_ = root.RegisterFlagCompletionFunc("color", complete("auto", "always", "never"))
}

// wrapArgs makes every complaint about positional arguments a usage error
// that points at the command's help.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil || fault.KindOf(err) == fault.Usage {
				return err
			}
			return (&fault.Error{Op: "usage", Kind: fault.Usage, Err: err}).WithHint("usage: %s\nsee `%s --help`", cmd.UseLine(), cmd.CommandPath())
		}
	}
	for _, child := range cmd.Commands() {
		wrapArgs(child)
	}
}

// newGroupCmd is a command that only holds others: alone it prints its help,
// and an unknown child is a usage error with the nearest name.
func newGroupCmd(use, short, group string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:     use,
		Short:   short,
		GroupID: group,
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(children...)
	return cmd
}

func unknownCommand(parent *cobra.Command, name string) error {
	var known []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	slices.Sort(known)
	err := fault.Usagef("unknown command %q for %q", name, parent.CommandPath())
	if near := fault.Nearest(name, known); near != "" {
		return err.WithHint("did you mean `%s %s`?", parent.CommandPath(), near)
	}
	return err.WithHint("there are: %s", strings.Join(known, ", "))
}

// noArgs refuses positional arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return errors.New("takes no arguments, got " + strings.Join(args, " "))
	}
	return nil
}
