package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/builder/plugin"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/term"
)

func newBuilderCmd(f *Factory) *cobra.Command {
	return newGroupCmd("builder", "What builds images, and programs that do", groupStart,
		newBuilderListCmd(f),
		newBuilderCheckCmd(f),
	)
}

type builderList struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Items      []app.BuilderInfo `json:"items"`
}

func newBuilderListCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the builders that --builder knows",
		Long: `List shows the builders that are built in, and the programs kn-lite-builder-NAME in
the folders of PATH, each of which is the builder NAME. Of several of one name the
first on PATH counts, and the names of built-in builders are taken.`,
		Example: `  kn-lite builder list
  kn-lite builder list -o name`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			builders := f.App().ListBuilders()
			names := make([]string, 0, len(builders))
			for _, b := range builders {
				names = append(names, b.Name)
			}
			return f.print(answer{
				Object: builderList{APIVersion: apiVersion, Kind: "BuilderList", Items: builders},
				Names:  names,
				Table: table(f.IO, []string{"NAME", "FROM", "SHADOWED"}, func(t *term.Table) {
					for _, b := range builders {
						from := b.File
						if from == "" {
							from = "built in"
						}
						t.Row(b.Name, from, strings.Join(b.Shadowed, ", "))
					}
				}),
			})
		},
	}
}

type builderCheckOptions struct {
	Name, Dir string
	Platforms []string
}

// builderCheck is what builder check has found, as -o json shows it.
type builderCheck struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Name       string           `json:"name"`
	OK         bool             `json:"ok"`
	Checks     []plugin.Finding `json:"checks"`
}

func newBuilderCheckCmd(f *Factory) *cobra.Command {
	o := &builderCheckOptions{}
	cmd := &cobra.Command{
		Use:   "check NAME [DIR]",
		Short: "Try whether a builder of your own keeps to the contract",
		Long: `Check runs kn-lite-builder-NAME on the project in DIR (default: here), which it has
to be able to build, and looks at everything that kn-lite asks of it: what it leaves
in its folder and elsewhere, whether the same sources give the same image, what it
does with requests that it cannot know, whether it ends when it is asked to. Nothing
is pushed. It fails when one check does.`,
		Example: `  kn-lite builder check nix examples/hello`,
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name, o.Dir = args[0], dirArg(args[1:])
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runBuilderCheck(ctx, f, o)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return plugin.Names(f.Sys.Env("PATH")), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringSliceVar(&o.Platforms, "platform", nil, "build for these `OS/ARCH`s (default linux/amd64)")
	return cmd
}

func runBuilderCheck(ctx context.Context, f *Factory, o *builderCheckOptions) error {
	result := builderCheck{APIVersion: apiVersion, Kind: "BuilderCheck", Name: o.Name, OK: true, Checks: []plugin.Finding{}}
	err := f.App().CheckBuilder(ctx, app.CheckBuilderRequest{
		Name:         o.Name,
		BuildRequest: app.BuildRequest{Dir: o.Dir, BuildOptions: app.BuildOptions{Platforms: o.Platforms}, Discard: true},
	}, func(found plugin.Finding) {
		result.Checks = append(result.Checks, found)
		result.OK = result.OK && found.OK
	})
	if err != nil {
		return withFlags(err)
	}
	failed := []string{}
	for _, c := range result.Checks {
		if !c.OK {
			failed = append(failed, c.Name)
		}
	}
	err = f.print(answer{
		Object: result, Names: failed,
		Table: table(f.IO, []string{"OK", "CHECK", "DETAIL"}, func(t *term.Table) {
			for _, c := range result.Checks {
				ok := "yes"
				if !c.OK {
					ok = "NO"
				}
				t.Row(ok, c.Name, c.Detail)
			}
		}),
	})
	if err == nil && !result.OK {
		err = fault.New(fault.Failure, "builder.check", "kn-lite-builder-"+o.Name, "%d of %d checks failed", len(failed), len(result.Checks))
	}
	return err
}
