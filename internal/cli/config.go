package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/settings"
	"github.com/kn-lite/kn-lite/internal/term"
)

// settingsAnswer is what -o json shows of config view and explain.
type settingsAnswer struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	File       string             `json:"file,omitempty"` // the user's
	Settings   []settings.Setting `json:"settings"`
}

func newConfigCmd(f *Factory) *cobra.Command {
	return newGroupCmd("config", "See and change the settings", groupDayTwo,
		newConfigViewCmd(f), newConfigExplainCmd(f), newConfigSetCmd(f), newConfigUnsetCmd(f))
}

func newConfigViewCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "view",
		Short: "Show every setting with its value",
		Long: `View shows what commands in this folder use: each setting, its value, and what kind
of source that is from. Passwords are masked. explain says more about each.`,
		Example: `  kn-lite config view
  kn-lite config view -o json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := allSettings(f)
			if err != nil {
				return err
			}
			return printSettings(f, s.File, s.All(), viewTable)
		},
	}
}

func newConfigExplainCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [KEY]",
		Short: "Show where a setting's value is from, and what it overrules",
		Long: `Explain shows for a setting, or for all of them, the value, the place that it is from
(a flag, a variable, the line of func.yaml or of your file), and each weaker place
that sets it as well. The first of these that says something wins: a flag, KN_LITE_*
in the environment, func.yaml, your file, the kubeconfig, the default.`,
		Example: `  kn-lite config explain namespace
  kn-lite config explain -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeSettings(settings.Keys),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := allSettings(f)
			if err != nil {
				return err
			}
			found := s.All()
			if len(args) > 0 {
				if found, err = s.Explain(args[0]); err != nil {
					return err
				}
			}
			return printSettings(f, s.File, found, explainTable)
		},
	}
}

// completeSettings offers keys for the first argument.
func completeSettings(keys func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return keys(), cobra.ShellCompDirectiveNoFileComp
	}
}

func printSettings(f *Factory, file string, found []settings.Setting, rows func(*term.Table, settings.Setting)) error {
	var names []string
	for _, s := range found {
		names = append(names, s.Key)
	}
	return f.print(answer{
		Object: settingsAnswer{APIVersion: apiVersion, Kind: "Settings", File: file, Settings: found},
		Names:  names,
		Table: table(f.IO, []string{"KEY", "VALUE", "SOURCE"}, func(t *term.Table) {
			for _, s := range found {
				rows(t, s)
			}
		}),
	})
}

func viewTable(t *term.Table, s settings.Setting) {
	t.Row(s.Key, settingText(s.Value), string(s.Source.Kind))
}

func explainTable(t *term.Table, s settings.Setting) {
	t.Row(s.Key, settingText(s.Value), sourceText(s.Source))
	for _, other := range s.Overrules {
		t.Row("  overrules", settingText(other.Value), sourceText(other.Source))
	}
}

func settingText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case []string:
		return strings.Join(v, ", ")
	}
	return fmt.Sprint(value)
}

func sourceText(s settings.Source) string {
	switch {
	case s.Name == "":
		return string(s.Kind)
	case s.Kind == settings.FromFile || s.Kind == settings.FromProject:
		return s.Name
	}
	return string(s.Kind) + " " + s.Name
}

// allSettings are the settings from everywhere: flags, environment, the working
// folder's func.yaml, the user's file and the kubeconfig.
func allSettings(f *Factory) (*settings.Settings, error) {
	project, err := app.FindProject(".")
	if err != nil {
		return nil, err
	}
	sources := settingSources(f)
	sources.Project = projectSettings(f, project)
	// Without a kubeconfig, or with a broken one, there is nothing that it says.
	if client, err := f.clusterIn(""); err == nil {
		sources.Kubeconfig = map[string]settings.Given{"namespace": {Value: client.Namespace(), Name: "context " + client.Context()}}
	}
	s, err := settings.Load(sources)
	if err != nil {
		return nil, err
	}
	for _, w := range s.Warnings {
		f.IO.Warn("%s", w)
	}
	return s, nil
}

// settingSources are the sources of settings that every command has.
func settingSources(f *Factory) settings.Sources {
	return settings.Sources{Env: f.Sys.Env, Vars: f.Sys.Vars, Flags: f.settingFlags}
}

// projectSettings are the settings that a func.yaml has.
func projectSettings(f *Factory, project *function.Function) map[string]settings.Given {
	out := map[string]settings.Given{}
	if project == nil {
		return out
	}
	add := func(key, value, path string) {
		if value != "" && out[key].Value == "" {
			out[key] = settings.Given{Value: value, Name: project.Position(path)}
		}
	}
	add("registry", project.Registry, "registry")
	add("namespace", project.Namespace, "namespace")
	add("namespace", project.Deploy.Namespace, "deploy.namespace")
	if slices.Contains(f.App().Builders().Names(), project.Build.Builder) {
		add("builder", project.Build.Builder, "build.builder")
	}
	for _, language := range settings.Languages() {
		if project.Runtime == language || !slices.Contains(settings.Languages(), project.Runtime) {
			add("baseImages."+language, project.Build.BaseImage, "build.baseImage")
		}
	}
	return out
}

// settingFlags are the flags on the command line that overrule settings.
func settingFlags(cmd *cobra.Command) map[string]settings.Given {
	out := map[string]settings.Given{}
	keys := settings.Flags()
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if key, ok := keys[flag.Name]; ok {
			out[key] = settings.Given{Value: flag.Value.String(), Name: "--" + flag.Name}
		}
	})
	return out
}

func newConfigSetCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "set KEY VALUE",
		Short: "Write a setting into your file",
		Long: `Set writes one setting into your file of settings, and makes the file if there is none.
Several values are separated by commas. Comments, order and notation of everything
else in the file stay as they are.`,
		Example: `  kn-lite config set registry registry.example/team
  kn-lite config set mirrors.docker.io mirror.example,other.example
  kn-lite config set baseImages.node mirror.example/library/node:22-slim`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeSettings(settings.Settable),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeSetting(cmd.Context(), f, args[0], func(ctx context.Context) (*settings.Update, error) {
				return settings.Set(ctx, f.Sys.Env, args[0], args[1])
			})
		},
	}
}

func newConfigUnsetCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "unset KEY",
		Short: "Remove a setting from your file",
		Example: `  kn-lite config unset registry
  kn-lite config unset mirrors.docker.io`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSettings(settings.Settable),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeSetting(cmd.Context(), f, args[0], func(ctx context.Context) (*settings.Update, error) {
				return settings.Unset(ctx, f.Sys.Env, args[0])
			})
		},
	}
}

// changeSetting changes the user's file, and says what commands use then: a stronger
// source may overrule it.
func changeSetting(ctx context.Context, f *Factory, key string, change func(context.Context) (*settings.Update, error)) error {
	ctx, cancel := f.withTimeout(ctx, 0)
	defer cancel()
	done, err := change(ctx)
	if err != nil {
		return err
	}
	switch {
	case done.Changed:
		f.IO.Step("changed %s in %s", key, done.File)
	default:
		f.IO.Note("%s is so already: nothing was changed in %s", key, done.File)
	}
	found := []settings.Setting{}
	if s, err := allSettings(f); err != nil {
		f.IO.Warn("what commands use in this folder is not known: %s", err)
	} else if explained, err := s.Explain(key); err == nil { // not of a key that is none, and was removed
		found = explained
	}
	for _, each := range found {
		switch each.Source.Kind {
		case settings.FromFlag, settings.FromVariable, settings.FromProject:
			f.IO.Warn("%s is %s here: %s overrules your file", each.Key, settingText(each.Value), sourceText(each.Source))
		}
	}
	if f.Flags.Output == "" || f.Flags.Output == "table" {
		return nil
	}
	return printSettings(f, done.File, found, viewTable)
}
