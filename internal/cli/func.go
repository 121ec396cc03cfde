package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/scaffold"
	"github.com/kn-lite/kn-lite/internal/term"
)

func newFuncCmd(f *Factory) *cobra.Command {
	return newGroupCmd("func", "Make and check function projects", groupStart,
		newFuncCreateCmd(f, nil),
		newFuncAdoptCmd(f, nil),
		newFuncLanguagesCmd(f),
		newFuncValidateCmd(f, nil),
	)
}

type languageList struct {
	APIVersion string              `json:"apiVersion"`
	Kind       string              `json:"kind"`
	Items      []scaffold.Language `json:"items"`
}

func newFuncLanguagesCmd(f *Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "languages",
		Short: "List the languages that functions can be written in",
		Example: `  kn-lite func languages
  kn-lite func languages -o name`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			languages := scaffold.Languages()
			return f.print(answer{
				Object: languageList{APIVersion: apiVersion, Kind: "LanguageList", Items: languages},
				Names:  languageNames(),
				Table: table(f.IO, []string{"LANGUAGE", "TEMPLATES", "DESCRIPTION"}, func(t *term.Table) {
					for _, l := range languages {
						t.Row(l.Name, strings.Join(l.Kinds, ","), l.Title)
					}
				}),
			})
		},
	}
}

func languageNames() []string {
	var names []string
	for _, l := range scaffold.Languages() {
		names = append(names, l.Name)
	}
	return names
}
