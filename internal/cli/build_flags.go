package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/builder"
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

// add gives cmd the flags.
func (b *buildFlags) add(cmd *cobra.Command, f *Factory) {
	flags := cmd.Flags()
	flags.StringSliceVar(&b.Platforms, "platform", nil, "build for these `OS/ARCH`s; several make an index (default linux/amd64)")
	flags.StringVar(&b.Base, "base-image", "", "`IMAGE` to build on (default: func.yaml's, the settings', the language's own)")
	flags.StringVar(&b.Builder, "builder", "", "how to build: auto, layers, dockerfile, cluster, kaniko or NAME of a program kn-lite-builder-NAME on PATH (default: the settings', func.yaml's, then auto, which takes the Dockerfile where no language is known)")
	b.Docker.add(flags)
	b.Cluster.add(flags)
	b.Attest.add(cmd)
	flags.BoolVar(&b.NoCache, "no-cache", false, "build even when nothing has changed since an earlier build, every layer of it")
	flags.BoolVar(&b.AnyStart, "no-start-check", false, "accept an image whose command is not in it")
	flags.BoolVar(&b.AnyLock, "no-lock-check", false, "let a build in CI choose versions itself where the project has no lock file")
	// The flags are registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("builder", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return f.App().Builders().Names(), cobra.ShellCompDirectiveNoFileComp
	})
}

// buildFlagNames returns the flags that add gives a command.
func buildFlagNames(f *Factory) (names []string) {
	cmd := &cobra.Command{}
	(&buildFlags{}).add(cmd, f)
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	return names
}

// options returns what the flags say.
func (b *buildFlags) options() (app.BuildOptions, error) {
	o := app.BuildOptions{
		Builder: b.Builder, Platforms: b.Platforms, BaseImage: b.Base, NoCache: b.NoCache,
		AllowMissingCommand: b.AnyStart, AllowMissingLock: b.AnyLock,
		Pod: builder.PodOptions{Image: b.Cluster.Image, Namespace: b.Cluster.Namespace, Resources: b.Cluster.Resources},
	}
	b.Attest.apply(&o)
	var err error
	o.Dockerfile, err = b.Docker.options()
	return o, err
}

// clusterFlags are the flags that only a build in the cluster has a use for.
type clusterFlags struct {
	Image     string
	Namespace string
	Resources map[string]string
}

func (c *clusterFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&c.Image, "builder-image", "", "`IMAGE` that the pod of --builder cluster or kaniko runs: kn-lite's own (default: this program's, pushed beside the image that is built), or kaniko's executor (default: the settings')")
	flags.StringVar(&c.Namespace, "builder-namespace", "", "`NAMESPACE` in which --builder cluster or kaniko builds (default: the service's)")
	flags.StringToStringVar(&c.Resources, "builder-resources", nil, "cpu=N,memory=N,ephemeral-storage=N that the pod of --builder cluster or kaniko asks for, and may use at most")
}

// dockerfileFlags are the flags that only a Dockerfile has a use for.
type dockerfileFlags struct {
	File    string
	Target  string
	Args    []string
	Secrets []string
	Network string
	Cache   string
}

func (d *dockerfileFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&d.File, "file", "", "`DOCKERFILE` to build (default: DIR/Dockerfile)")
	flags.StringVar(&d.Target, "target", "", "`STAGE` of the Dockerfile to build (default: the last one)")
	flags.StringArrayVar(&d.Args, "build-arg", nil, "`NAME=VALUE` of an ARG in the Dockerfile (repeatable)")
	flags.StringArrayVar(&d.Secrets, "secret", nil, "`id=ID,src=FILE` for RUN --mount=type=secret in the Dockerfile (repeatable)")
	flags.StringVar(&d.Cache, "cache-repo", "", "`REPOSITORY` that keeps the layers of the Dockerfile's steps for other machines (default: the settings')")
	flags.StringVar(&d.Network, "network", "default", "network of the Dockerfile's RUN: default (this machine's) or none")
}

func (d *dockerfileFlags) options() (builder.DockerfileOptions, error) {
	o := builder.DockerfileOptions{File: d.File, Target: d.Target, Offline: d.Network == "none", Repository: d.Cache}
	if !slices.Contains([]string{"", "default", "none"}, d.Network) {
		return o, fault.Usagef("--network %s: use default or none", d.Network)
	}
	for _, arg := range d.Args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return o, fault.Usagef("--build-arg %s: use NAME=VALUE", arg)
		}
		if o.Args == nil {
			o.Args = map[string]string{}
		}
		o.Args[name] = value
	}
	var err error
	o.Secrets, err = readSecrets(d.Secrets)
	return o, err
}

func readSecrets(texts []string) (map[string][]byte, error) {
	secrets := map[string][]byte{}
	for _, text := range texts {
		id, file := "", ""
		for field := range strings.SplitSeq(text, ",") {
			name, value, _ := strings.Cut(field, "=")
			switch name {
			case "id":
				id = value
			case "src", "source":
				file = value
			case "type":
				if value == "file" {
					continue
				}
				fallthrough
			default:
				return nil, fault.Usagef("--secret %s: unknown part %q", text, field).WithHint("use id=ID,src=FILE")
			}
		}
		if id == "" || file == "" {
			return nil, fault.Usagef("--secret %s: use id=ID,src=FILE", text)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, &fault.Error{Op: "build.secret", Kind: fault.Usage, Subject: "--secret " + id, Err: err}
		}
		secrets[id] = content
	}
	return secrets, nil
}
