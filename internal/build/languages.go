package build

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/golang"
	"github.com/kn-lite/kn-lite/internal/build/lang/java"
	"github.com/kn-lite/kn-lite/internal/build/lang/node"
	"github.com/kn-lite/kn-lite/internal/build/lang/python"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust"
	"github.com/kn-lite/kn-lite/internal/build/ruby"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// KeepVariable names files that go into the image beside a compiled program.
const KeepVariable = lang.KeepVariable

// table is every language that can be built. What else a language wants for func
// adopt, func create and the settings is in CONTRIBUTING.md.
func table() []lang.Language {
	return []lang.Language{golang.Language{}, java.Language{}, node.Language{}, python.Language{}, rust.Language{}, node.TypeScript{}}
}

// Languages are the names that Spec.Language accepts.
func Languages() []string {
	var names []string
	for _, l := range table() {
		names = append(names, l.Name())
	}
	return names
}

// Knows reports whether Spec.Language accepts name.
func Knows(name string) bool { return slices.Contains(Languages(), LanguageOf(name)) }

// LanguageOf returns the language of a runtime in func.yaml, which knative/func may call by
// another name: its Java functions are named after their framework.
func LanguageOf(runtime string) string {
	if runtime == "springboot" {
		return "java"
	}
	return runtime
}

// toFuncRuntime is the opposite of LanguageOf.
func toFuncRuntime(language string) string {
	if language == "java" {
		return "springboot"
	}
	return language
}

// choose finds the language by name, or by a look into the folder.
func choose(spec Spec) (lang.Language, error) {
	if spec.language != nil {
		return spec.language, nil
	}
	if spec.Language != "" {
		for _, l := range table() {
			if l.Name() == LanguageOf(spec.Language) {
				return l, nil
			}
		}
		err := fault.New(fault.Usage, "build.plan", spec.Dir, "the layers builder does not know the language %q", spec.Language)
		if spec.Language == DockerfileLanguage {
			return nil, err.WithHint("{Builder} dockerfile builds it")
		}
		hint := "it knows: " + strings.Join(Languages(), ", ")
		if near := fault.Nearest(spec.Language, Languages()); near != "" {
			hint = fmt.Sprintf("did you mean %q?\n%s", near, hint)
		}
		return nil, err.WithHint("%s", hint)
	}
	tree, err := source.Open(spec.Dir)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	// It may have a package.json for what browsers load.
	if ruby.Detect(tree.FS()) {
		return nil, fault.New(fault.Usage, "build.plan", spec.Dir, "a Ruby application is built by a Dockerfile").
			WithHint("let one be written: kn-lite func adopt; or build with the one that is there: {Builder} dockerfile")
	}
	var found []lang.Language
	for _, l := range table() {
		if l.Detect(tree.FS()) {
			found = append(found, l)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if err := checkRegular(tree.FS()); err != nil {
			return nil, err
		}
		return nil, fault.New(fault.Usage, "build.plan", spec.Dir, "cannot tell the language: there is no func.yaml, go.mod, pom.xml, package.json, Cargo.toml, pyproject.toml or requirements.txt").
			WithHint("name the function's folder, or make one: kn-lite func create NAME -l go")
	}
	return nil, fault.New(fault.Usage, "build.plan", spec.Dir, "cannot tell the language: the folder has files of several").
		WithHint("set `runtime:` in func.yaml to one of: %s", strings.Join(Languages(), ", "))
}

// normalise checks platforms and puts them in the order of the index, so that
// the order on the command line does not change the digest.
func normalise(platforms []v1.Platform) ([]v1.Platform, error) {
	if len(platforms) == 0 {
		return []v1.Platform{{OS: "linux", Architecture: "amd64"}}, nil
	}
	sorted := slices.Clone(platforms)
	slices.SortFunc(sorted, func(a, b v1.Platform) int { return strings.Compare(a.String(), b.String()) })
	for i, p := range sorted {
		if i > 0 && p.String() == sorted[i-1].String() {
			return nil, fault.Usagef("platform %s is named twice", p)
		}
	}
	return sorted, nil
}

// ParsePlatform reads OS/ARCH or OS/ARCH/VARIANT, as in linux/arm64. Knative
// runs Linux only.
func ParsePlatform(text string) (v1.Platform, error) {
	parts := strings.Split(strings.TrimSpace(text), "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return v1.Platform{}, fault.Usagef("platform %q is not OS/ARCH", text).WithHint("for example: linux/amd64 or linux/amd64,linux/arm64")
	}
	if parts[0] != "linux" {
		return v1.Platform{}, fault.Usagef("platform %s: images for Knative are linux images", text).WithHint("use linux/%s", parts[1])
	}
	known := []string{"amd64", "arm64", "arm", "ppc64le", "s390x", "riscv64", "386"}
	if !slices.Contains(known, parts[1]) {
		err := fault.Usagef("platform %s: unknown architecture %q", text, parts[1])
		if near := fault.Nearest(parts[1], known); near != "" {
			return v1.Platform{}, err.WithHint("did you mean linux/%s?", near)
		}
		return v1.Platform{}, err.WithHint("known: %s", strings.Join(known, ", "))
	}
	p := v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	// arm64 has one variant in use, and no manifest spells it out.
	if p.Architecture == "arm64" && p.Variant == "v8" {
		p.Variant = ""
	}
	return p, nil
}
