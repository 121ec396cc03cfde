package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
)

type buildOptions struct {
	buildFlags
	Dir     string
	Image   string
	Push    bool
	Outputs []app.Output
	Verify  bool
	Explain bool
}

// buildAnswer is an image as -o json shows it.
type buildAnswer struct {
	header
	app.BuildSummary
}

func newBuildCmd(f *Factory, runF func(context.Context, *buildOptions) error) *cobra.Command {
	o := &buildOptions{}
	cmd := &cobra.Command{
		Use:     "build [DIR]",
		Short:   "Build the image of a function, with no container engine",
		GroupID: groupStart,
		Long: `Build makes a container image from the function in DIR (default: here) with the
toolchain of this machine: go for Go, Maven for Java, npm for Node, pip for Python.
The same input gives the same digest on every machine. The answer on stdout is the
image's reference by digest.

With --push the image goes to its registry. With -o oci:DIR or -o tar:FILE it
goes to a folder or a file. With neither it is kept in DIR/.kn-lite for
kn-lite push.

What the image is made of (SPDX) and how it was made (SLSA provenance) go with it
as referrers, to the registry and to oci:DIR; --sbom=false and --provenance=false
leave them out. --sign-key signs the image before its tag points at it.

When nothing that the image depends on has changed, no toolchain runs. With --push
that holds for a clone on another machine too: the image is found in its
repository, under a tag made of the build's key, and nothing is pushed. --explain
says what that key is made of and what has changed.

--verify proves that the same input gives the same image: it builds twice with
empty caches, the second time from a copy in another folder, with other file times,
umask, time zone, locale and number of CPUs. When the images differ it names the
first file that does, and exits with 7.`,
		Example: `  # Build the function in this folder, push it, run it anywhere
  docker run -p 8080:8080 "$(kn-lite build --push)"

  # For two platforms, under another name
  kn-lite build --platform linux/amd64,linux/arm64 --image registry.example/me/hello:v2 --push

  # A Dockerfile, by a pod of the cluster: for machines without a sandbox
  kn-lite build --builder cluster --push

  # A file for docker load
  kn-lite build -o tar:hello.tar

  # Why is it built again?
  kn-lite build --explain`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = dirArg(args)
			return runner(f, runF, bounded(runBuild))(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.Push, "push", false, "push the image to its registry")
	flags.StringVar(&o.Image, "image", "", "name of the image: `REGISTRY/NAME[:TAG]` (default: func.yaml's)")
	flags.BoolVar(&o.Verify, "verify", false, "build twice under different circumstances and fail when the images differ")
	flags.BoolVar(&o.Explain, "explain", false, "say what would be done and what has changed since the last build, and do nothing")
	flags.VarP(&outputFlag{format: &f.Flags.Output, places: &o.Outputs}, "output", "o",
		"oci:DIR or tar:FILE to write the image there (repeatable); or the form of the answer: table, json, yaml, name, events, jsonpath=TEMPLATE or go-template=TEMPLATE")
	o.add(cmd, f)
	addRegistryFlags(f, cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		[]string{"oci:", "tar:", "table", "json", "yaml", "name", eventsOutput, "jsonpath=", "go-template="},
		cobra.ShellCompDirectiveNoSpace))
	return cmd
}

// outputFlag is build's -o: places for the image beside the forms of the answer
// that every command has.
type outputFlag struct {
	format *string
	places *[]app.Output
}

// Set implements pflag.Value.
func (v *outputFlag) Set(text string) error {
	for _, format := range []app.OutputFormat{app.OCILayout, app.Tarball} {
		if path, ok := strings.CutPrefix(text, string(format)+":"); ok {
			if path == "" {
				return fmt.Errorf("%s: needs a path behind the colon", format)
			}
			*v.places = append(*v.places, app.Output{Format: format, Path: path})
			return nil
		}
	}
	*v.format = text
	return nil
}

// String implements pflag.Value.
func (v *outputFlag) String() string { return "" }

// Type implements pflag.Value.
func (v *outputFlag) Type() string { return "string" }

// request returns what the flags ask for.
func (o *buildOptions) request() (app.BuildRequest, error) {
	r := app.BuildRequest{Dir: o.Dir, Image: o.Image, Push: o.Push, Outputs: o.Outputs}
	if o.Explain && (o.Push || o.Verify || len(o.Outputs) > 0) {
		return r, fault.Usagef("--explain builds nothing, so there is nothing for --push, --verify, oci: and tar:")
	}
	var err error
	r.BuildOptions, err = o.options()
	return r, err
}

func runBuild(ctx context.Context, f *Factory, o *buildOptions) error {
	request, err := o.request()
	if err != nil {
		return err
	}
	request.Namespace = f.Flags.Namespace
	use := f.App()
	if o.Explain {
		plan, err := use.Explain(ctx, request)
		if err != nil {
			return err
		}
		return printPlan(f, plan.Summarize())
	}
	build := use.Build
	if o.Verify {
		build = use.Verify
	}
	result, err := build(ctx, request)
	if err != nil {
		return err
	}
	if !o.Push && len(o.Outputs) == 0 {
		noteNotPushed(f, o.Dir, result)
	}
	return f.print(answer{
		Object: buildAnswer{head("BuiltImage"), result.Summarize()},
		Names:  []string{result.Image},
		Table:  func() error { return f.IO.Answer("%s", result.Image) },
	})
}

// noteNotPushed says how the image that is left in the project's folder gets to a
// registry.
func noteNotPushed(f *Factory, dir string, r *app.BuildResult) {
	if r.Unnamed {
		f.IO.Note("not pushed, and no registry is set: kn-lite push%s --image REGISTRY/%s sends it to one", dirSuffix(dir), strings.TrimSuffix(r.Tag, ":latest"))
		return
	}
	f.IO.Note("not pushed: kn-lite push%s sends it to %s", dirSuffix(dir), r.Tag)
}

func dirSuffix(dir string) string {
	if dir == "." {
		return ""
	}
	return " " + dir
}
