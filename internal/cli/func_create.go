package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/scaffold"
)

type funcCreateOptions struct {
	Path     string // as given; its last element is the function's name
	Language string
	Kind     string
	Force    bool
}

// createdProject is what -o json shows.
type createdProject struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Name       string   `json:"name"`
	Language   string   `json:"language"`
	Template   string   `json:"template"`
	Path       string   `json:"path"`
	Files      []string `json:"files"`
	Replaced   []string `json:"replaced"`
}

func newFuncCreateCmd(f *Factory, runF func(context.Context, *funcCreateOptions) error) *cobra.Command {
	o := &funcCreateOptions{}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a new function project",
		Long: `Make a new function project in the folder NAME, with code that works, a unit
test that passes and a func.yaml. NAME may be a path: its last element is the
function's name, which becomes the name of the service and part of its URL.

Prints the folder. Nothing is left behind when it fails or is interrupted.`,
		Example: `  # A function in Go, in the folder hello
  kn-lite func create hello -l go

  # In a folder of its own inside a repository
  kn-lite func create ./apps/checkout -l node

  # In the working folder, whose name is the function's name
  kn-lite func create . -l go`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Path = args[0]
			return runner(f, runF, runFuncCreate)(cmd.Context(), o)
		},
		ValidArgsFunction: completeFolders,
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.Language, "language", "l", "", "language: "+strings.Join(languageNames(), ", "))
	flags.StringVarP(&o.Kind, "template", "t", scaffold.DefaultKind, "kind of function; \"kn-lite func languages\" lists them")
	flags.BoolVar(&o.Force, "force", false, "write into a folder that is not empty, and replace files of the same names")
	// Both flags are registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("language", completeLanguages)
	_ = cmd.RegisterFlagCompletionFunc("template", completeKinds)
	return cmd
}

func completeLanguages(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var list []string
	for _, l := range scaffold.Languages() {
		list = append(list, cobra.CompletionWithDesc(l.Name, l.Title))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// completeKinds offers the kinds of the language given so far, or of all.
func completeKinds(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	chosen, _ := scaffold.Find(cmd.Flag("language").Value.String())
	list := chosen.Kinds
	if chosen.Name == "" {
		for _, l := range scaffold.Languages() {
			list = append(list, l.Kinds...)
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

func runFuncCreate(ctx context.Context, f *Factory, o *funcCreateOptions) error {
	dir := filepath.Clean(o.Path)
	name, err := app.ProjectName(dir)
	if err != nil {
		return err
	}
	if o.Language == "" {
		if o.Language, err = askLanguage(ctx, f); err != nil {
			return err
		}
	}
	language, err := scaffold.Find(o.Language)
	if err != nil {
		return err
	}
	result, err := scaffold.Create(ctx, scaffold.Spec{
		Dir: dir, Name: name, Language: language.Name, Kind: o.Kind, Created: f.Sys.Now(), Force: o.Force,
	})
	if err != nil {
		return err
	}
	for _, file := range result.Replaced {
		f.IO.Warn("replaced %s", filepath.Join(dir, filepath.FromSlash(file)))
	}
	f.IO.Step("Created %s: a function in %s (%s)", name, language.Title, plural(len(result.Files), "file"))
	enter := ""
	if dir != "." {
		enter = "cd " + dir + " && "
	}
	f.IO.Note("test it:    %s%s", enter, language.Test)
	f.IO.Note("deploy it:  %skn-lite deploy", enter)
	return f.print(answer{
		Object: createdProject{
			APIVersion: apiVersion, Kind: "Project", Name: name, Language: language.Name, Template: o.Kind, Path: dir,
			Files: result.Files, Replaced: append([]string{}, result.Replaced...),
		},
		Names: []string{name},
		Table: func() error { return f.IO.Answer("%s", dir) },
	})
}

// askLanguage asks when there is somebody to ask.
func askLanguage(ctx context.Context, f *Factory) (string, error) {
	names, hint := languageNames(), "name it with --language: "+strings.Join(languageNames(), ", ")
	if !f.IO.CanPrompt() {
		return "", fault.Usagef("which language?").WithHint("%s", hint)
	}
	var titles []string
	for _, l := range scaffold.Languages() {
		titles = append(titles, l.Title)
	}
	chosen, err := f.IO.Choose(ctx, "Which language?", names, titles)
	if err != nil {
		return "", fault.Usagef("no language was chosen: %w", err).WithHint("%s", hint)
	}
	return chosen, nil
}
