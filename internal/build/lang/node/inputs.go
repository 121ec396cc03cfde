package node

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/regular"
)

var _ lang.Keyed = Language{}

// Inputs implements lang.Keyed: the files that get into the image, the manifest
// and lockfile, npm's version and those of its settings that change what it
// installs. Where install scripts compile something, Node and the machine count.
func (Language) Inputs(ctx context.Context, p *lang.Project, plan *lang.Plan) (*lang.Inputs, error) {
	found, ok := plan.Detail.(*project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	p = found.at(p)
	if found.runs() {
		in, err := builtInputs(ctx, p, found)
		if err == nil && found.start.static {
			in.Facts = append(in.Facts, lang.Fact{Name: "server of the site", Value: siteLayer().Key})
		}
		return in, err
	}
	return plainInputs(ctx, p, found)
}

// plainInputs are the inputs without those of a build script.
func plainInputs(ctx context.Context, p *lang.Project, found *project) (*lang.Inputs, error) {
	// The build itself warns.
	ignore, err := found.ignore(p.Source.FS(), func(string) {}, "node_modules")
	if err != nil {
		return nil, err
	}
	in := &lang.Inputs{Folders: []lang.Folder{{Name: ".", Dir: p.Dir, Skip: ignore.Filter, Dirs: true}}}
	if !found.manifest.hasDependencies() {
		return in, nil
	}
	if found.lockName == "" {
		in.Unknown = "there is no package-lock.json, so npm decides anew each time"
		return in, nil
	}
	// They count even when the ignore file keeps them out of the image.
	for _, name := range []string{manifestFile, found.lockName} {
		in.Files = append(in.Files, lang.File{Name: name, Path: filepath.Join(p.Dir, name)})
	}
	for _, f := range found.settings {
		in.Files = append(in.Files, lang.File{Name: f.Path, Path: filepath.Join(p.Dir, filepath.FromSlash(f.Path))})
	}
	version, err := managerVersion(ctx, p, found)
	if err != nil {
		return nil, err
	}
	in.Facts = append(in.Facts, lang.Fact{Name: found.manager.name, Value: version})
	if len(found.scripted) > 0 {
		install := &install{project: p, found: found}
		if version, err = install.nodeVersion(ctx); err != nil {
			return nil, err
		}
		in.Facts = append(in.Facts, lang.Fact{Name: "node", Value: version}, lang.Fact{Name: "machine", Value: goruntime.GOOS + "/" + goruntime.GOARCH})
	}
	in.Facts = append(in.Facts, npmSettings(p.Environ, found.npmrc)...)
	return in, nil
}

func managerVersion(ctx context.Context, p *lang.Project, found *project) (string, error) {
	if found.manager.name == "npm" {
		return npmVersion(ctx, p)
	}
	return found.manager.version(ctx, p.Dir, p.Environ, found.lockName)
}

// npmVersion reads the version from npm's own manifest beside the program, and
// asks npm where that is not to be found: it takes a quarter of a second.
func npmVersion(ctx context.Context, p *lang.Project) (string, error) {
	tool, err := findNpm()
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(tool); err == nil {
		raw, err := regular.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(real)), "package.json"))
		var own struct{ Name, Version string }
		if err == nil && json.Unmarshal(raw, &own) == nil && own.Name == "npm" && own.Version != "" {
			return own.Version, nil
		}
	}
	out, err := lang.Run(ctx, p.Dir, p.Environ, tool, "--version")
	return strings.TrimSpace(out), err
}

// influential are npm's settings that change node_modules
// (https://docs.npmjs.com/cli/v11/using-npm/config). Registries and credentials
// are not among them: the lockfile has the checksums.
func influential() []string {
	return []string{
		"install-strategy", "legacy-bundling", "global-style", "legacy-peer-deps", "strict-peer-deps", "omit", "include", "only",
		"optional", "production", "prefer-dedupe", "bin-links", "engine-strict", "force", "script-shell", "shell", "nodedir",
	}
}

// npmSettings is what the project's file and the user's file say about them. Those
// in variables are lang.Variables' inputs.
func npmSettings(environ []string, npmrc []byte) []lang.Fact {
	var facts []lang.Fact
	add := func(where, text string) {
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(line, "=")
			name = strings.TrimSuffix(strings.TrimSpace(name), "[]")
			if slices.Contains(influential(), name) {
				facts = append(facts, lang.Fact{Name: "npm setting " + name + " of " + where, Value: strings.TrimSpace(value)})
			}
		}
	}
	add("the project", string(npmrc))
	file := userNpmrc(environ)
	if text, err := regular.ReadFile(file); err == nil {
		add("the user", string(text))
	}
	return facts
}
