package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/app"
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
			s, err := f.App().SettingsHere(settingSources(f))
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
			s, err := f.App().SettingsHere(settingSources(f))
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
	t.Row(s.Key, s.Text(), string(s.Source.Kind))
}

func explainTable(t *term.Table, s settings.Setting) {
	t.Row(s.Key, s.Text(), s.Source.String())
	for _, other := range s.Overrules {
		t.Row("  overrules", other.Text(), other.Source.String())
	}
}

// settingSources are the sources of settings that every command has.
func settingSources(f *Factory) settings.Sources {
	return settings.Sources{Env: f.Sys.Env, Vars: f.Sys.Vars, Flags: f.settingFlags}
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
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			done, err := f.App().SetSetting(ctx, settingSources(f), args[0], args[1])
			return printSettingChange(f, done, err)
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
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			done, err := f.App().UnsetSetting(ctx, settingSources(f), args[0])
			return printSettingChange(f, done, err)
		},
	}
}

// printSettingChange says what commands use after a change of the user's file: a stronger
// source may overrule it.
func printSettingChange(f *Factory, done *app.SettingChange, err error) error {
	if err != nil {
		return err
	}
	for _, s := range done.Overruled() {
		f.IO.Warn("%s is %s here: %s overrules your file", s.Key, s.Text(), s.Source)
	}
	if f.Flags.Output == "" || f.Flags.Output == "table" {
		return nil
	}
	return printSettings(f, done.File, done.Now, viewTable)
}
