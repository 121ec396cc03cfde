package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/function"
)

type funcValidateOptions struct {
	Dir    string
	Strict bool
}

// validation is what -o json shows.
type validation struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	File       string             `json:"file"`
	Valid      bool               `json:"valid"`
	Name       string             `json:"name,omitempty"`
	Runtime    string             `json:"runtime,omitempty"`
	Problems   []function.Problem `json:"problems"`
	Warnings   []function.Problem `json:"warnings"`
}

func newFuncValidateCmd(f *Factory, runF func(context.Context, *funcValidateOptions) error) *cobra.Command {
	o := &funcValidateOptions{}
	cmd := &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check a func.yaml",
		Long: `Check the func.yaml in DIR, or in the working folder. Each mistake is told with
its line and column.

Keys that are not known are only warned about, as knative/func does: other tools
may have written them. One that is a slip away from a known key is a mistake.`,
		Example: `  kn-lite func validate
  # In a pipeline: every warning is an error too
  kn-lite func validate ./apps/checkout --strict -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = dirArg(args)
			return runner(f, runF, runFuncValidate)(cmd.Context(), o)
		},
		ValidArgsFunction: completeFolders,
	}
	cmd.Flags().BoolVar(&o.Strict, "strict", false, "treat every warning as an error")
	return cmd
}

func runFuncValidate(_ context.Context, f *Factory, o *funcValidateOptions) error {
	project, problems, warnings, err := function.Validate(o.Dir, o.Strict)
	if err != nil {
		return err
	}
	result := validation{
		APIVersion: apiVersion, Kind: "Validation", File: filepath.Join(o.Dir, function.File), Valid: len(problems) == 0,
		Name: project.Name, Runtime: project.Runtime,
		Problems: append([]function.Problem{}, problems...), Warnings: append([]function.Problem{}, warnings...),
	}
	for _, w := range warnings {
		f.IO.Warn("%s", w)
	}
	if result.Valid {
		f.IO.Step("%s is valid", result.File)
	}
	var names []string
	if project.Name != "" {
		names = []string{project.Name}
	}
	// A program that asked for JSON gets the whole list, not only the error.
	if err := f.print(answer{Object: result, Names: names, Table: func() error { return nil }}); err != nil {
		return err
	}
	return function.Fault(problems)
}
