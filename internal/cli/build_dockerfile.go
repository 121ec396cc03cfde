package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// builders are the values of --builder.
const builders = "auto, layers, dockerfile or cluster"

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

// used names the first of the flags that was given.
func (d *dockerfileFlags) used() string {
	switch {
	case d.File != "":
		return "--file"
	case d.Target != "":
		return "--target"
	case len(d.Args) > 0:
		return "--build-arg"
	case len(d.Secrets) > 0:
		return "--secret"
	case d.Cache != "":
		return "--cache-repo"
	case d.Network != "default" && d.Network != "":
		return "--network"
	}
	return ""
}

// dockerfile decides between the builders: nil is the layers builder.
func (b *buildFlags) dockerfile(dir string, project *function.Function) (*dockerfile.Options, error) {
	d := b.Docker
	switch b.Builder {
	case "dockerfile", clusterBuilder:
	case "auto", "layers", "":
		if b.Builder == "layers" || d.File == "" && !asksForDockerfile(project) && (knownLanguage(project) || !build.HasDockerfile(dir)) {
			if flag := d.used(); flag != "" {
				return nil, fault.Usagef("%s is for a Dockerfile, and this is built without one", flag).WithHint("add --builder dockerfile")
			}
			return nil, nil
		}
	default:
		err := fault.Usagef("--builder %s: unknown builder", b.Builder)
		if near := fault.Nearest(b.Builder, []string{"auto", "layers", "dockerfile", clusterBuilder}); near != "" {
			return nil, err.WithHint("did you mean %q?", near)
		}
		return nil, err.WithHint("use %s", builders)
	}
	o := &dockerfile.Options{File: d.File, Target: d.Target, NoCache: b.NoCache, Offline: d.Network == "none", Args: map[string]string{}}
	if !slices.Contains([]string{"", "default", "none"}, d.Network) {
		return nil, fault.Usagef("--network %s: use default or none", d.Network)
	}
	for _, arg := range d.Args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fault.Usagef("--build-arg %s: use NAME=VALUE", arg)
		}
		o.Args[name] = value
	}
	var err error
	o.Secrets, err = readSecrets(d.Secrets)
	return o, err
}

// knownLanguage tells whether the layers builder is the first choice.
func knownLanguage(project *function.Function) bool {
	return project != nil && build.Knows(project.Runtime)
}

// asksForDockerfile tells whether func.yaml says so itself. To knative/func it is
// a runtime like others that it has no builder for.
func asksForDockerfile(project *function.Function) bool {
	return project != nil && project.Runtime == build.DockerfileLanguage
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
