package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// TypeScript is Node.js with a build script in front: it runs on a copy of the
// project with its development dependencies, and neither these nor, if
// .funcignore says so, the sources are in the image.
type TypeScript struct{}

var _ lang.Language = TypeScript{}

// compilerConfig is the file by which a TypeScript project is known.
const compilerConfig = "tsconfig.json"

// Name implements lang.Language.
func (TypeScript) Name() string { return "typescript" }

// Detect implements lang.Language.
func (TypeScript) Detect(project fs.FS) bool {
	return exists(project, manifestFile) && exists(project, compilerConfig)
}

// Plan implements lang.Language.
func (TypeScript) Plan(ctx context.Context, p *lang.Project) (*lang.Plan, error) {
	plan, err := Language{}.Plan(ctx, p)
	if err != nil {
		return nil, err
	}
	found, ok := plan.Detail.(*project)
	if !ok || !found.builds() {
		return nil, fault.New(fault.Usage, "build.typescript", manifestFile, "there is no build script").
			WithHint("add one: npm pkg set scripts.build=tsc")
	}
	return plan, nil
}

// Layers implements lang.Language.
func (TypeScript) Layers(ctx context.Context, p *lang.Project, plan *lang.Plan, target lang.Target) ([]lang.Layer, error) {
	return Language{}.Layers(ctx, p, plan, target)
}

// transpile is one run of the build script.
type transpile struct {
	project *lang.Project
	found   *project
	sources []layer.File
	version string // of Node.js
}

// key is everything that the build script sees, so that without a change it does
// not run; "" when npm chooses versions anew each time.
func (t *transpile) key(ctx context.Context) (string, error) {
	ignore, err := t.found.ignore(t.project.Source.FS(), t.project.Report.Warn, "node_modules")
	if err != nil {
		return "", err
	}
	if t.sources, err = ignore.WalkSources(ctx, t.project.Source); err != nil {
		return "", err
	}
	tool, err := lang.FindTool("node", "node", "install Node.js with npm from https://nodejs.org")
	if err != nil {
		return "", err
	}
	if t.version, err = lang.Run(ctx, t.project.Dir, t.project.Environ, tool, "--version"); err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "3 %t %s", t.found.start.static, t.version)
	rules, err := read(t.project.Source.FS(), source.IgnoreFile)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%d:%s", len(rules), rules)
	if err := addFiles(h, t.sources); err != nil {
		return "", err
	}
	if t.found.lockName == "" {
		return "", nil
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// addFiles adds files with their content to a digest.
func addFiles(h io.Writer, files []layer.File) error {
	for _, f := range files {
		fmt.Fprintf(h, "%d:%s %o %d:%s %d ", len(f.Path), f.Path, f.Mode, len(f.Link), f.Link, f.Size)
		if !f.Mode.IsRegular() {
			continue
		}
		if err := lang.CopyFile(h, f); err != nil {
			return err
		}
	}
	return nil
}

// run makes a copy of the project, builds it there and lists the result.
func (t *transpile) run(ctx context.Context) (files []layer.File, cleanup func() error, err error) {
	command, err := t.found.manager.command(t.found.lockName)
	if err != nil {
		return nil, nil, err
	}
	parent := filepath.Join(t.project.CacheDir, "node")
	scratch, err := lang.NewScratch(parent, "transpile-*")
	if err != nil {
		return nil, nil, err
	}
	dir, cleanup := scratch.Dir, scratch.Close
	if err := t.stage(dir); err != nil {
		return nil, cleanup, err
	}
	kept := t.keeper(parent)
	ready, err := kept.take(filepath.Join(dir, modules))
	if err != nil {
		return nil, cleanup, err
	}
	if !ready {
		if err := t.install(ctx, dir, command); err != nil {
			return nil, cleanup, err
		}
	}
	installed, err := readModules(dir)
	if err != nil {
		return nil, cleanup, err
	}
	for _, s := range t.found.scripts() {
		args := append(slices.Clone(command[1:]), t.found.manager.script(s.name)...)
		output, err := lang.Run(ctx, filepath.Join(dir, filepath.FromSlash(s.folder)), t.found.manager.environ(t.project.Environ), command[0], args...)
		if err != nil {
			return nil, cleanup, t.explain(s.name, output, err)
		}
	}
	tree, err := scratch.Open("")
	if err != nil {
		return nil, cleanup, err
	}
	ignore, err := t.found.ignore(tree.FS(), t.project.Report.Warn, append(leftovers(), modules)...)
	if err != nil {
		return nil, cleanup, err
	}
	if files, err = ignore.Walk(ctx, tree, home); err != nil {
		return nil, cleanup, err
	}
	if t.found.start.static {
		sources := t.sources
		if w := t.found.workspace; w != nil {
			files, sources = moved(files, t.found.home(), home), moved(sources, w.member, "")
		}
		if files, err = siteFiles(files, sources, t.project.Label); err != nil {
			return nil, cleanup, err
		}
		return files, cleanup, kept.giveBack(filepath.Join(dir, modules))
	}
	// What scripts have changed there is in the image, above what was installed for it.
	changed, err := t.found.changedModules(ctx, dir, tree, installed)
	if err != nil || len(changed) > 0 {
		return append(files, changed...), cleanup, err // and is not to be found by the next build
	}
	return files, cleanup, kept.giveBack(filepath.Join(dir, modules))
}

// install installs all dependencies, without the project's own scripts: those run
// afterwards, so that it is known what they change.
func (t *transpile) install(ctx context.Context, dir string, command []string) error {
	isManifest := func(f layer.File) bool { return path.Base(f.Path) == manifestFile && f.Mode.IsRegular() }
	var own []layer.File
	for _, f := range t.sources {
		at := filepath.Join(dir, filepath.FromSlash(f.Path))
		if !isManifest(f) {
			continue
		}
		raw, err := read(t.project.Source.FS(), f.Path)
		if err != nil {
			return err
		}
		bare, err := withoutScripts(f.Path, raw)
		if err != nil {
			continue // a file of that name that is no manifest, for a test
		}
		own = append(own, f)
		if err := os.WriteFile(at, bare, 0o600); err != nil {
			return err
		}
	}
	args := append(slices.Clone(command[1:]), t.found.installAll()...)
	output, err := lang.Run(ctx, dir, t.found.manager.environ(t.project.Environ), command[0], args...)
	if err != nil {
		return t.explain("", output, err)
	}
	for _, f := range own {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(f.Path))); err != nil {
			return err
		}
	}
	return lang.WriteFiles(dir, own)
}

// stage copies the project, and what npm reads beside it.
func (t *transpile) stage(dir string) error {
	files := t.sources
	// What stays out of the image for a password in it is for the manager all the same.
	for name, text := range map[string][]byte{".npmrc": t.found.npmrc, t.found.lockName: t.found.lockRaw} {
		present := func(f layer.File) bool { return f.Path == name }
		if name != "" && text != nil && !slices.ContainsFunc(files, present) {
			files = append(files, layer.Bytes(name, 0o600, text))
		}
	}
	rules, err := read(t.project.Source.FS(), source.IgnoreFile)
	if err != nil {
		return err
	}
	if rules != nil {
		files = append(files, layer.Bytes(source.IgnoreFile, 0o644, rules))
	}
	return lang.WriteFiles(dir, files)
}

func (t *transpile) explain(script, output string, err error) error {
	if _, ran := errors.AsType[*exec.ExitError](err); !ran {
		return err
	}
	words := strings.TrimSpace(output)
	if script != "" {
		return fault.New(fault.Build, "build.typescript", t.project.Label, "the %s script failed\n%s", script, words)
	}
	return fault.New(fault.Build, "build.typescript", t.project.Label, "%s could not install the dependencies\n%s", t.found.manager.name, words).
		WithHint("if %s and the lockfile disagree, run `%s install` and keep the result", manifestFile, t.found.manager.name)
}
