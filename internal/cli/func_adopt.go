package cli

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/term"
)

type funcAdoptOptions struct {
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

func newFuncAdoptCmd(f *Factory, runF func(context.Context, *funcAdoptOptions) error) *cobra.Command {
	o := &funcAdoptOptions{}
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
			return runner(f, runF, runFuncAdopt)(cmd.Context(), o)
		},
		ValidArgsFunction: completeFolders,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Name, "name", "", "`NAME` of the service (default: the folder's)")
	languages := append(build.Languages(), build.DockerfileLanguage)
	flags.StringVarP(&o.Language, "language", "l", "", "language, where the folder has files of several: "+strings.Join(languages, ", "))
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("language", cobra.FixedCompletions(languages, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func runFuncAdopt(ctx context.Context, f *Factory, o *funcAdoptOptions) error {
	ctx, cancel := f.withTimeout(ctx, 0)
	defer cancel()
	r, err := f.App().Adopt(ctx, app.AdoptRequest{Dir: o.Dir, Name: o.Name, Language: o.Language})
	if err != nil {
		return err
	}
	tellAdopted(f.IO, r)
	f.IO.Note("deploy it:   kn-lite deploy%s", dirSuffix(o.Dir))
	return f.print(answer{
		Object: adoptedProject{
			APIVersion: apiVersion, Kind: "AdoptedProject", Name: r.Name, Language: r.Language, Style: r.Style,
			Evidence: append([]string{}, r.Evidence...), Command: r.Command, Base: r.Base, File: r.File, Written: r.Written,
		},
		Names: []string{r.Name},
		Table: func() error { return f.IO.Answer("%s", r.File) },
	})
}

// tellAdopted says what the folder was taken for.
func tellAdopted(streams *term.IO, r *app.AdoptResult) {
	note := func(label, text string) { streams.Note("%-12s %s", label+":", text) }
	advise := func() {
		for _, text := range r.Advice {
			streams.Note("%s", nameFlags(text))
		}
	}
	if r.Language == build.DockerfileLanguage {
		streams.Step("Adopted %s: %s", r.Name, r.Style)
		note("starts with", cmp.Or(strings.Join(r.Command, " "), "what its base starts with"))
		note("on", r.Base)
		if len(r.Written) > 0 {
			note("wrote", strings.Join(r.Written, ", ")+", which are yours to change")
		}
		advise()
		if len(r.Beside) > 0 {
			note("beside it", fmt.Sprintf("%s code, which kn-lite can build without the Dockerfile: set `runtime: %s`", strings.Join(r.Beside, " and "), r.Beside[0]))
		}
		return
	}
	streams.Step("Adopted %s: %s (%s)", r.Name, r.Style, r.Language)
	if len(r.Evidence) > 0 {
		note("known by", strings.Join(r.Evidence, ", "))
	}
	note("starts with", strings.Join(r.Command, " "))
	if r.Base != "" {
		note("on", r.Base+"; --base-image names another")
	}
	if len(r.Reads) > 0 {
		note("with it", fmt.Sprintf("%s, which the code names: func.yaml has them put into the image (%s)", strings.Join(r.Reads, ", "), build.KeepVariable))
	}
	advise()
	if r.Dockerfile {
		note("beside it", fmt.Sprintf("a Dockerfile, which is left alone: set `runtime: %s`, or build with --builder dockerfile", build.DockerfileLanguage))
	}
}
