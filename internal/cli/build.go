package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// buildFlags are the flags of every command that builds.
type buildFlags struct {
	Platforms []string
	Base      string
	Builder   string
	NoCache   bool
	AnyStart  bool // the command need not be in the image
	AnyLock   bool // versions need not be locked, in CI too
	Docker    dockerfileFlags
	Cluster   clusterFlags
	Attest    attestFlags
}

type buildOptions struct {
	buildFlags
	Dir     string
	Image   string
	Push    bool
	Outputs []string // oci:DIR, tar:FILE
	Verify  bool
	Explain bool
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
	Unchanged  bool            `json:"unchanged"` // an earlier build made it; nothing was built now
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
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runBuild(ctx, f, o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.Push, "push", false, "push the image to its registry")
	flags.StringVar(&o.Image, "image", "", "name of the image: `REGISTRY/NAME[:TAG]` (default: func.yaml's)")
	flags.BoolVar(&o.Verify, "verify", false, "build twice under different circumstances and fail when the images differ")
	flags.BoolVar(&o.Explain, "explain", false, "say what would be done and what has changed since the last build, and do nothing")
	flags.VarP(&outputFlag{format: &f.Flags.Output, places: &o.Outputs}, "output", "o",
		"oci:DIR or tar:FILE to write the image there (repeatable); or the form of the answer: table, json, yaml, name, events, jsonpath=TEMPLATE or go-template=TEMPLATE")
	f.addBuildFlags(cmd, &o.buildFlags)
	f.addRegistryFlags(cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		[]string{"oci:", "tar:", "table", "json", "yaml", "name", eventsOutput, "jsonpath=", "go-template="},
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
	b.Cluster.add(flags)
	f.addAttestFlags(cmd, &b.Attest)
	flags.BoolVar(&b.NoCache, "no-cache", false, "build even when nothing has changed since an earlier build, every layer of it")
	flags.BoolVar(&b.AnyStart, "no-start-check", false, "accept an image whose command is not in it")
	flags.BoolVar(&b.AnyLock, "no-lock-check", false, "let a build in CI choose versions itself where the project has no lock file")
	// The flags are registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("builder", cobra.FixedCompletions([]string{"auto", "layers", "dockerfile", clusterBuilder}, cobra.ShellCompDirectiveNoFileComp))
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
	if o.Builder == clusterBuilder && (o.Explain || o.Verify) {
		return fault.Usagef("--explain and --verify are for builds on this machine").WithHint("leave away --builder cluster")
	}
	if o.Explain {
		if o.Push || o.Verify || len(o.Outputs) > 0 {
			return fault.Usagef("--explain builds nothing, so there is nothing for --push, --verify, oci: and tar:")
		}
		return f.explainProject(ctx, o.Dir, project, &o.buildFlags)
	}
	// All that can be wrong with the command line is found before the work.
	name, err := f.buildName(o, project)
	if err != nil {
		return err
	}
	tag := name.tag
	if o.Push {
		if err := f.openSignKey(ctx, &o.Attest); err != nil {
			return err
		}
	} else if o.Attest.SignKey != "" {
		return fault.Usagef("--sign-key signs what is pushed, and nothing is pushed here").WithHint("add --push, or sign later: kn-lite push --sign-key")
	}
	pushTo := ""
	if o.Push && len(o.Outputs) == 0 {
		pushTo = tag
	}
	if !o.Push && len(o.Outputs) == 0 {
		if err := build.CheckState(o.Dir); err != nil {
			return err
		}
	}
	var built *builtImage
	if o.Verify {
		verified, release, err := f.verifyProject(ctx, o.Dir, project, &o.buildFlags)
		if err != nil {
			return err
		}
		defer release()
		built = verified
	} else if built, err = f.buildProject(ctx, o.Dir, project, &o.buildFlags, pushTo); err != nil {
		return err
	}
	ref := name.repository + "@" + built.Digest.String()
	for _, place := range o.Outputs {
		result, err := built.full(ctx)
		if err != nil {
			return err
		}
		if err := built.attest(ctx, tag); err != nil {
			return err
		}
		if err := f.writeImage(result, place, tag); err != nil {
			return err
		}
	}
	switch {
	case o.Push:
		if ref, err = f.pushBuilt(ctx, built, tag, &o.Attest); err != nil {
			return err
		}
	case len(o.Outputs) == 0:
		if err := f.leaveForPush(ctx, built, o.Dir, name); err != nil {
			return err
		}
	}
	return f.print(answer{
		Object: describeBuild(built, ref, tag, o.Push),
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

func describeBuild(result *builtImage, ref, tag string, pushed bool) buildAnswer {
	out := buildAnswer{
		APIVersion: apiVersion, Kind: "BuiltImage", Image: ref, Tag: tag,
		Digest: result.Digest.String(), Language: result.Language, Pushed: pushed,
		Unchanged: result.unchanged,
	}
	for _, b := range result.Builds {
		platform := builtPlatform{Platform: b.Platform.String(), Base: b.Base, Layers: []builtLayer{}}
		for _, l := range b.Layers {
			platform.Layers = append(platform.Layers, builtLayer{Name: l.Name, Digest: l.Digest.String(), Size: l.Size, Cached: l.Cached})
		}
		out.Platforms = append(out.Platforms, platform)
	}
	return out
}
