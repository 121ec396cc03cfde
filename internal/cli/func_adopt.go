package cli

import (
	"cmp"
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/scaffold"
	"github.com/kn-lite/kn-lite/internal/term"
)

type funcAdoptOptions struct {
	Factory  *Factory
	Dir      string
	Name     string
	Language string
}

// adoptedProject is what -o json shows.
type adoptedProject struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Name       string   `json:"name"`
	Language   string   `json:"language"`
	Style      string   `json:"style"`    // what it is
	Evidence   []string `json:"evidence"` // the files that told
	Command    []string `json:"command"`  // how its container will start
	Base       string   `json:"base,omitempty"`
	Written    []string `json:"written,omitempty"` // files beside func.yaml
	File       string   `json:"file"`
}

func newFuncAdoptCmd(f *Factory) *cobra.Command {
	o := &funcAdoptOptions{Factory: f}
	cmd := &cobra.Command{
		Use:   "adopt [DIR]",
		Short: "Write a func.yaml for existing code",
		Long: `Look at the code in DIR, or in the working folder, say what it is and how it
will be started, and write a func.yaml for it. Nothing is run, no file of yours is
changed, and nothing else is written but for Ruby, see below.

It knows Go programs and functions, Rust programs, Node.js and TypeScript with a
start script (Express, NestJS, Next.js) or as a site of files (Vite), Spring Boot, Quarkus and other Maven or Gradle
projects with a main class, and Python with a Procfile, Django, Flask, FastAPI, or a main
program. Where there is no such code, a Dockerfile makes the image; --language
dockerfile takes it where there is both. A Ruby on Rails or Rack application without a
Dockerfile gets one, and a .dockerignore, after those of new Rails applications.
What it cannot start it says, and what is missing.

Prints the file.`,
		Example: `  kn-lite func adopt
  kn-lite func adopt ./apps/shop --name shop
  # The folder has a package.json for its style sheets too
  kn-lite func adopt --language python`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = filepath.Clean(dirArg(args))
			ctx, cancel := o.Factory.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runFuncAdopt(ctx, o)
		},
		ValidArgsFunction: completeFolders,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Name, "name", "", "`NAME` of the service (default: the folder's)")
	languages := append(build.Languages(), build.DockerfileLanguage)
	flags.StringVarP(&o.Language, "language", "l", "", "language, where the folder has files of several: "+strings.Join(languages, ", "))
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("language", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return languages, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func runFuncAdopt(ctx context.Context, o *funcAdoptOptions) error {
	f := o.Factory
	if err := scaffold.Unadopted(o.Dir); err != nil {
		return err
	}
	found, err := build.Recognise(ctx, o.Dir, o.Language, app.WithoutSecrets(f.Sys.Vars))
	if err != nil {
		return err
	}
	cfg, err := f.Config()
	if err != nil {
		return err
	}
	if found.Language != build.DockerfileLanguage {
		found.Base = cmp.Or(cfg.BaseImage(found.Language, ""), found.Base)
	}
	name := o.Name
	if name == "" {
		if name, err = projectName(f, o.Dir); err != nil {
			return err
		}
	}
	var variables [][2]string
	if len(found.Reads) > 0 {
		variables = append(variables, [2]string{build.KeepVariable, strings.Join(found.Reads, ":")})
	}
	if err := scaffold.Adopt(o.Dir, name, found.Runtime, found.Files, variables, f.Sys.Now()); err != nil {
		return err
	}
	file := filepath.Join(o.Dir, function.File)
	tellAdopted(f.IO, name, found)
	f.IO.Note("deploy it:   kn-lite deploy%s", dirSuffix(o.Dir))
	return f.print(answer{
		Object: adoptedProject{
			APIVersion: apiVersion, Kind: "AdoptedProject", Name: name, Language: found.Language, Style: found.Style,
			Evidence: append([]string{}, found.Evidence...), Command: found.Command, Base: found.Base, File: file,
			Written: slices.Sorted(maps.Keys(found.Files)),
		},
		Names: []string{name},
		Table: func() error { return f.IO.Answer("%s", file) },
	})
}

// tellAdopted says what the folder was taken for.
func tellAdopted(streams *term.IO, name string, found *build.Recognised) {
	if found.Language == build.DockerfileLanguage {
		streams.Step("Adopted %s: %s", name, found.Style)
		command := strings.Join(found.Command, " ")
		if command == "" {
			command = "what its base starts with"
		}
		streams.Note("starts with: %s", command)
		streams.Note("on:          %s", found.Base)
		if len(found.Files) > 0 {
			streams.Note("wrote:       %s, which are yours to change", strings.Join(slices.Sorted(maps.Keys(found.Files)), ", "))
		}
		for _, text := range found.Advice {
			streams.Note("%s", text)
		}
		if len(found.Beside) > 0 {
			streams.Note("beside it:   %s code, which kn-lite can build without the Dockerfile: set `runtime: %s`", strings.Join(found.Beside, " and "), found.Beside[0])
		}
		return
	}
	streams.Step("Adopted %s: %s (%s)", name, found.Style, found.Language)
	if len(found.Evidence) > 0 {
		streams.Note("known by:    %s", strings.Join(found.Evidence, ", "))
	}
	streams.Note("starts with: %s", strings.Join(found.Command, " "))
	if found.Base != "" {
		streams.Note("on:          %s; --base-image names another", found.Base)
	}
	if len(found.Reads) > 0 {
		streams.Note("with it:     %s, which the code names: func.yaml has them put into the image (%s)", strings.Join(found.Reads, ", "), build.KeepVariable)
	}
	for _, text := range found.Advice {
		streams.Note("%s", text)
	}
	if found.Dockerfile {
		streams.Note("beside it:   a Dockerfile, which is left alone: set `runtime: %s`, or build with --builder dockerfile", build.DockerfileLanguage)
	}
}
