package rust

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

var _ lang.Keyed = Language{}

// Inputs implements lang.Keyed: the whole workspace, since any file of it may be
// included, the toolchain, the settings of cargo that change what it makes, and
// the C library where the program takes it from this machine. Packages from a
// registry or a repository need no look: Cargo.lock says what is in them.
func (Language) Inputs(ctx context.Context, p *lang.Project, plan *lang.Plan) (*lang.Inputs, error) {
	found, ok := plan.Detail.(*project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	tools, err := probe(ctx, p)
	if err != nil {
		return nil, err
	}
	set := readSettings(p)
	within, err := filepath.Rel(found.root, p.Dir)
	if err != nil {
		return nil, err
	}
	in := &lang.Inputs{Facts: []lang.Fact{
		{Name: "toolchain", Value: strings.Join(strings.Fields(tools.version), " ")},
		{Name: "package", Value: path.Join(filepath.ToSlash(within), found.pkg, found.program)},
	}}
	in.Facts = append(in.Facts, tools.linkFacts(ctx, p, set)...)
	in.Facts = append(in.Facts, set.facts()...)
	written := []string{p.CacheDir, lang.Lookup(p.Environ, "CARGO_TARGET_DIR"), cargoHome(p.Environ), lang.Lookup(p.Environ, "TMPDIR")}
	in.Folders = []lang.Folder{{Name: ".", Dir: found.root, Follow: true, Skip: skipper(found.root, written)}}
	for _, dir := range outside(found.root) {
		// Cargo makes the folder's absolute path a part of the program's names.
		in.Unknown = "a dependency stands outside of the workspace, in " + filepath.Base(dir)
		in.Folders = append(in.Folders, lang.Folder{Name: "../" + filepath.Base(dir), Dir: dir, Follow: true, Skip: skipper(dir, written)})
	}
	return in, nil
}

// linkFacts are what decides how the program is linked: two machines with the
// same toolchain may have the libraries of other targets, and other compilers.
func (t *toolchain) linkFacts(ctx context.Context, p *lang.Project, set *settings) []lang.Fact {
	var names []string
	for _, architecture := range []string{"386", "amd64", "arm", "arm64", "ppc64le", "riscv64", "s390x"} {
		if found, err := t.targetFor(v1.Platform{OS: "linux", Architecture: architecture}, set); err == nil {
			names = append(names, found.triple)
		}
	}
	facts := []lang.Fact{{Name: "targets", Value: strings.Join(names, " ")}}
	cc, err := exec.LookPath("cc")
	if err != nil {
		return facts
	}
	if out, err := lang.Run(ctx, p.Dir, p.Environ, cc, "--version"); err == nil {
		line, _, _ := strings.Cut(out, "\n")
		facts = append(facts, lang.Fact{Name: "C compiler", Value: line})
	}
	if out, err := lang.Run(ctx, p.Dir, p.Environ, cc, "-print-file-name=libc.a"); err == nil {
		// Without such a file the compiler says its bare name.
		if raw, err := os.ReadFile(strings.TrimSpace(out)); err == nil {
			facts = append(facts, lang.Fact{Name: "C library", Value: brief(string(raw))})
		}
	}
	return facts
}

// skipper leaves out what cargo does not compile: what it writes itself, version
// control, and what kn-lite leaves in a project.
func skipper(root string, written []string) func(name string, dir bool) (out, prune bool) {
	return func(name string, dir bool) (out, prune bool) {
		at := filepath.Join(root, filepath.FromSlash(name))
		switch base := path.Base(name); {
		case base == ".git" || base == ".hg" || base == ".svn" || base == ".kn-lite":
			return true, true
		case dir && base == "target" && (name == base || isFile(os.DirFS(at), "CACHEDIR.TAG")):
			return true, true
		}
		return slices.Contains(written, at), true
	}
}

// outside are the folders out of the workspace that its manifests lead to.
func outside(root string) []string {
	var out, seen []string
	var look func(dir string)
	look = func(dir string) {
		if slices.Contains(seen, dir) {
			return
		}
		seen = append(seen, dir)
		raw, err := os.ReadFile(filepath.Join(dir, manifestFile))
		values := map[string]any{}
		if err != nil || toml.Unmarshal(raw, &values) != nil {
			return // as cargo will say
		}
		if dir != root && !below(root, dir) {
			out = append(out, dir)
		}
		for _, name := range paths(values) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, filepath.FromSlash(name))
			}
			look(filepath.Clean(name))
		}
		if m, err := readManifest(dir); err == nil && m.Workspace != nil {
			for _, member := range members(dir, m) {
				look(member)
			}
		}
	}
	look(root)
	slices.Sort(out)
	return out
}

// paths are the folders that the dependencies and patches of a manifest name.
func paths(values map[string]any) []string {
	var out []string
	for name, value := range values {
		if name == "bin" || name == "lib" || name == "example" || name == "test" || name == "bench" {
			continue // their paths are of files
		}
		table, ok := value.(map[string]any)
		if !ok {
			continue
		}
		if at, ok := table["path"].(string); ok {
			out = append(out, at)
		}
		out = append(out, paths(table)...)
	}
	return out
}
