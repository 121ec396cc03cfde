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

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/cargo"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/include"
	"github.com/kn-lite/kn-lite/internal/regular"
)

var _ lang.Keyed = Language{}

// Inputs implements lang.Keyed: the whole workspace, since any file of it may be
// included, the toolchain, the settings of cargo that change what it makes, and
// the C library where the program takes it from this machine. Packages from a
// registry or a repository need no look: Cargo.lock says what is in them.
func (Language) Inputs(ctx context.Context, p *lang.Project, plan *lang.Plan) (*lang.Inputs, error) {
	found, ok := plan.Detail.(*cargo.Project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	tools, err := probe(ctx, p)
	if err != nil {
		return nil, err
	}
	set := cargo.ReadSettings(p)
	within, err := filepath.Rel(found.Root, p.Dir)
	if err != nil {
		return nil, err
	}
	in := &lang.Inputs{Facts: []lang.Fact{
		{Name: "toolchain", Value: strings.Join(strings.Fields(tools.version), " ")},
		{Name: "package", Value: path.Join(filepath.ToSlash(within), found.Package, found.Program)},
	}}
	in.Facts = append(in.Facts, tools.linkFacts(ctx, p, set)...)
	in.Facts = append(in.Facts, set.Facts()...)
	written := []string{p.CacheDir, lang.Lookup(p.Environ, "CARGO_TARGET_DIR"), cargo.Home(p.Environ), lang.Lookup(p.Environ, "TMPDIR")}
	in.Folders = []lang.Folder{{Name: ".", Dir: found.Root, Follow: true, Skip: skipper(found.Root, written)}}
	for _, file := range include.Outside(found.Root, skipper(found.Root, written)) {
		name, err := filepath.Rel(found.Root, file)
		if err != nil {
			return nil, err
		}
		in.Files = append(in.Files, lang.File{Name: filepath.ToSlash(name), Path: file})
	}
	if found.Unlocked {
		in.Unknown = "there is no Cargo.lock, so cargo chooses versions itself"
	}
	if set.Has("paths") || set.Has("patch") {
		in.Unknown = "a .cargo/config.toml replaces packages"
	}
	for _, dir := range cargo.Outside(found.Root) {
		// Cargo makes the folder's absolute path a part of the program's names.
		in.Unknown = "a dependency stands outside of the workspace, in " + filepath.Base(dir)
		in.Folders = append(in.Folders, lang.Folder{Name: "../" + filepath.Base(dir), Dir: dir, Follow: true, Skip: skipper(dir, written)})
	}
	return in, nil
}

// linkFacts are what decides how the program is linked: two machines with the
// same toolchain may have the libraries of other targets, and other compilers.
func (t *toolchain) linkFacts(ctx context.Context, p *lang.Project, set *cargo.Settings) []lang.Fact {
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
		if raw, err := regular.ReadFile(strings.TrimSpace(out)); err == nil {
			facts = append(facts, lang.Fact{Name: "C library", Value: cargo.Brief(string(raw))})
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
		case dir && base == "target" && (name == base || marked(at)):
			return true, true
		}
		return slices.Contains(written, at), true
	}
}

// marked reports whether a folder says itself that it is a cache, as cargo's do
// (https://bford.info/cachedir).
func marked(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "CACHEDIR.TAG"))
	return err == nil
}
