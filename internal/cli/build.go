package cli

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/config"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/term"
)

// buildFlags are the flags of every command that builds.
type buildFlags struct {
	Platforms []string
	Base      string
	Builder   string
	Docker    dockerfileFlags
}

type buildOptions struct {
	buildFlags
	Dir     string
	Image   string
	Push    bool
	Outputs []string // oci:DIR, tar:FILE
}

// buildAnswer is an image as -o json shows it.
type buildAnswer struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Image      string          `json:"image"` // REGISTRY/NAME@sha256:…
	Tag        string          `json:"tag"`   // REGISTRY/NAME:TAG
	Digest     string          `json:"digest"`
	Language   string          `json:"language"`
	Pushed     bool            `json:"pushed"`
	Platforms  []builtPlatform `json:"platforms"`
}

type builtPlatform struct {
	Platform string       `json:"platform"`
	Base     string       `json:"base,omitempty"` // "" is the built-in base
	Layers   []builtLayer `json:"layers"`
}

type builtLayer struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	Cached bool   `json:"cached"`
}

func newBuildCmd(f *Factory) *cobra.Command {
	o := &buildOptions{}
	cmd := &cobra.Command{
		Use:     "build [DIR]",
		Short:   "Build the image of a function, with no container engine",
		GroupID: groupStart,
		Long: `Build makes a container image from the function in DIR (default: here) with the
toolchain of this machine: go for Go, npm for Node, pip for Python. The same
input gives the same digest on every machine. The answer on stdout is the image's
reference by digest.

With --push the image goes to its registry. With -o oci:DIR or -o tar:FILE it
goes to a folder or a file. With neither it is kept in DIR/.kn-lite for
kn-lite push.`,
		Example: `  # Build the function in this folder, push it, run it anywhere
  docker run -p 8080:8080 "$(kn-lite build --push)"

  # For two platforms, under another name
  kn-lite build --platform linux/amd64,linux/arm64 --image registry.example/me/hello:v2 --push

  # A file for docker load
  kn-lite build -o tar:hello.tar`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = dirArg(args)
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runBuild(ctx, f, o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.Push, "push", false, "push the image to its registry")
	flags.StringVar(&o.Image, "image", "", "name of the image: `REGISTRY/NAME[:TAG]` (default: func.yaml's)")
	flags.VarP(&outputFlag{format: &f.Flags.Output, places: &o.Outputs}, "output", "o",
		"oci:DIR or tar:FILE to write the image there (repeatable); or the form of the answer: table, json, yaml, name, jsonpath=TEMPLATE or go-template=TEMPLATE")
	f.addBuildFlags(cmd, &o.buildFlags)
	f.addRegistryFlags(cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		[]string{"oci:", "tar:", "table", "json", "yaml", "name", "jsonpath=", "go-template="},
		cobra.ShellCompDirectiveNoSpace))
	return cmd
}

// addBuildFlags gives cmd the flags that buildProject reads.
func (f *Factory) addBuildFlags(cmd *cobra.Command, b *buildFlags) {
	flags := cmd.Flags()
	flags.StringSliceVar(&b.Platforms, "platform", nil, "build for these `OS/ARCH`s; several make an index (default linux/amd64)")
	flags.StringVar(&b.Base, "base-image", "", "`IMAGE` to build on (default: func.yaml's, the settings', the language's own)")
	flags.StringVar(&b.Builder, "builder", "auto", "how to build: "+builders+" (auto takes the Dockerfile where no language is known)")
	b.Docker.add(flags)
	// The flags are registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("builder", cobra.FixedCompletions([]string{"auto", "layers", "dockerfile"}, cobra.ShellCompDirectiveNoFileComp))
}

// outputFlag is build's -o: places for the image beside the forms of the answer
// that every command has.
type outputFlag struct {
	format *string
	places *[]string
}

// Set implements pflag.Value.
func (v *outputFlag) Set(text string) error {
	for _, form := range []string{"oci:", "tar:"} {
		if place, ok := strings.CutPrefix(text, form); ok {
			if place == "" {
				return fmt.Errorf("%s needs a path behind the colon", form)
			}
			*v.places = append(*v.places, text)
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

func runBuild(ctx context.Context, f *Factory, o *buildOptions) error {
	project, err := f.projectIn(o.Dir)
	if err != nil {
		return err
	}
	if project != nil {
		for _, w := range project.Warnings {
			f.IO.Warn("%s", w)
		}
	}
	// All that can be wrong with the command line is found before the work.
	tag, err := f.imageTag(o.Image, project)
	if err != nil {
		return err
	}
	name, err := registry.ParseTag(tag)
	if err != nil {
		return err
	}
	result, err := f.buildProject(ctx, o.Dir, project, &o.buildFlags)
	if err != nil {
		return err
	}
	ref := name.WithDigest(result.Digest.String())
	for _, place := range o.Outputs {
		if err := f.writeImage(result, place, tag); err != nil {
			return err
		}
	}
	switch {
	case o.Push:
		if ref, err = f.pushImage(ctx, result.Artifact(), tag); err != nil {
			return err
		}
	case len(o.Outputs) == 0:
		if err := result.Keep(o.Dir, tag); err != nil {
			return err
		}
		f.IO.Note("not pushed: kn-lite push%s sends it to %s", dirSuffix(o.Dir), tag)
	}
	return f.print(answer{
		Object: describeBuild(result, ref, tag, o.Push),
		Names:  []string{ref},
		Table:  func() error { return f.IO.Answer("%s", ref) },
	})
}

func dirSuffix(dir string) string {
	if dir == "." {
		return ""
	}
	return " " + dir
}

// buildProject builds the project in dir; project is its func.yaml, or nil.
// build and deploy share it.
func (f *Factory) buildProject(ctx context.Context, dir string, project *function.Function, b *buildFlags) (*build.Result, error) {
	cfg, err := f.Config()
	if err != nil {
		return nil, err
	}
	spec := build.Spec{
		Dir:      dir,
		Base:     b.Base,
		Bases:    cfg.BaseImages,
		Environ:  f.Sys.Vars,
		CacheDir: config.CacheDir(f.Sys.Env),
		Now:      f.Sys.Now,
		Progress: buildProgress{f.IO},
		Pull: func(ctx context.Context, ref string, p v1.Platform) (v1.Image, error) {
			client, err := f.Registry()
			if err != nil {
				return nil, err
			}
			return client.Pull(ctx, ref, p)
		},
	}
	for _, text := range b.Platforms {
		platform, err := build.ParsePlatform(text)
		if err != nil {
			return nil, err
		}
		spec.Platforms = append(spec.Platforms, platform)
	}
	if project != nil {
		spec.Language = project.Runtime
		spec.Base = cmp.Or(b.Base, project.Build.BaseImage)
		if spec.Environ, err = f.buildEnviron(project); err != nil {
			return nil, err
		}
	}
	if spec.Dockerfile, err = b.dockerfile(dir, project); err != nil {
		return nil, err
	}
	if spec.Epoch, err = epoch(f.Sys.Env("SOURCE_DATE_EPOCH")); err != nil {
		return nil, err
	}
	started := f.Sys.Now()
	result, err := build.Build(ctx, spec)
	if err != nil {
		return nil, err
	}
	f.IO.Step("built %s (%s)", result.Digest, term.Duration(f.Sys.Now().Sub(started)))
	return result, nil
}

// buildEnviron is the environment with func.yaml's build.buildEnvs in it.
func (f *Factory) buildEnviron(project *function.Function) ([]string, error) {
	environ := f.Sys.Vars
	for _, env := range project.Build.BuildEnvs {
		value, err := env.Value.Local(func(name string) (string, bool) {
			v := f.Sys.Env(name)
			return v, v != ""
		})
		if err != nil {
			return nil, fault.New(fault.Usage, "build.env", function.File, "build.buildEnvs: %s: %w", env.Name, err)
		}
		environ = append(environ[:len(environ):len(environ)], env.Name+"="+value.Text)
	}
	return environ, nil
}

// epoch reads SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/).
func epoch(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fault.Usagef("SOURCE_DATE_EPOCH=%q is not a number of seconds since 1970", text)
	}
	return time.Unix(seconds, 0), nil
}

// writeImage writes the image to oci:DIR or tar:FILE.
func (f *Factory) writeImage(result *build.Result, place, tag string) error {
	task := f.IO.Start(0, "writing %s", place)
	form, path, _ := strings.Cut(place, ":")
	write := result.WriteLayout
	if form == "tar" {
		write = result.WriteTarball
	}
	if err := write(path, tag); err != nil {
		task.Fail()
		return err
	}
	task.Done("wrote %s", place)
	return nil
}

func describeBuild(result *build.Result, ref, tag string, pushed bool) buildAnswer {
	out := buildAnswer{
		APIVersion: apiVersion, Kind: "BuiltImage", Image: ref, Tag: tag,
		Digest: result.Digest.String(), Language: result.Language, Pushed: pushed,
	}
	for _, b := range result.Builds {
		platform := builtPlatform{Platform: b.Platform.String(), Base: b.Base}
		for _, l := range b.Layers {
			platform.Layers = append(platform.Layers, builtLayer{Name: l.Name, Digest: l.Digest.String(), Size: l.Size, Cached: l.Cached})
		}
		out.Platforms = append(out.Platforms, platform)
	}
	return out
}

// buildProgress tells the terminal how a build goes on.
type buildProgress struct{ io *term.IO }

// Begin implements build.Progress.
func (p buildProgress) Begin(stage string) build.Stage {
	return buildStage{p.io.Start(0, "%s", stage)}
}

// Note implements build.Progress.
func (p buildProgress) Note(text string) { p.io.Note("%s", text) }

// Warn implements build.Progress.
func (p buildProgress) Warn(text string) { p.io.Warn("%s", text) }

// Raw implements build.Progress.
func (p buildProgress) Raw(text string) { p.io.Raw(text) }

type buildStage struct{ task *term.Task }

// Done implements build.Stage.
func (s buildStage) Done(what string) { s.task.Done("%s", what) }

// Fail implements build.Stage.
func (s buildStage) Fail() { s.task.Fail() }
