package rust

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/cargo"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/include"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// compilation is one run of cargo.
type compilation struct {
	project   *lang.Project
	found     *cargo.Project
	toolchain *toolchain
	settings  *cargo.Settings
	target    target
	folder    string // cargo's target folder, in kn-lite's cache
}

// newCompilation finds out with what the program is made, and where.
func newCompilation(ctx context.Context, p *lang.Project, found *cargo.Project, platform v1.Platform) (*compilation, error) {
	c := &compilation{project: p, found: found, settings: cargo.ReadSettings(p)}
	var err error
	if c.toolchain, err = probe(ctx, p); err != nil {
		return nil, err
	}
	if c.target, err = c.toolchain.targetFor(platform, c.settings); err != nil {
		return nil, err
	}
	if c.folder, err = targetFolder(p, found.Root, c.target.triple); err != nil {
		return nil, err
	}
	if found.Unlocked {
		c.project, c.found, err = withLock(ctx, c.toolchain.tool, p, found)
	}
	return c, err
}

// compile runs cargo with a folder of its own for each workspace and target, so
// that two targets do not wait for each other. What is in there makes the next
// build quick and nothing else: packages of the project whose content has changed
// are made again, whatever their files' times say.
func compile(ctx context.Context, p *lang.Project, found *cargo.Project, platform v1.Platform) (files []layer.File, cleanup func() error, err error) {
	c, err := newCompilation(ctx, p, found, platform)
	if err != nil {
		return nil, nil, err
	}
	answer, err := c.metadata(ctx)
	if err != nil {
		return nil, nil, err
	}
	packages := answer.Packages
	if err := c.forget(ctx, packages); err != nil {
		return nil, nil, err
	}
	if err := c.checkProgram(); err != nil {
		return nil, nil, err
	}
	args := []string{
		"build", "--quiet", "--release", "--locked", "--target", c.target.triple, "--package", found.Package, "--bin", found.Program,
	}
	more, environ := c.settings.WithFlags(c.target.triple, c.flags(packages))
	output, err := lang.Run(ctx, c.project.Dir, lang.With(p.Environ, append(c.environ(), environ...)...), c.toolchain.tool, append(args, more...)...)
	if err != nil {
		return nil, nil, c.compileError(output, err)
	}
	scratch, err := lang.NewScratch(filepath.Join(p.CacheDir, "rust"), "build-*")
	if err != nil {
		return nil, nil, err
	}
	// A copy, since the next build of the folder writes over it.
	program := filepath.Join(scratch.Dir, "function")
	size, err := copyFile(c.program(), program)
	if err != nil {
		return nil, scratch.Close, err
	}
	if err := c.noteProgram(program); err != nil {
		return nil, scratch.Close, err
	}
	file := layer.File{Path: binary, Mode: 0o755, Size: size, Open: func() (io.ReadCloser, error) { return regular.Open(program) }}
	return []layer.File{file}, scratch.Close, nil
}

// targetFolder is where cargo works for a workspace. Build scripts may read any
// variable without a word to cargo, so what is made with others is elsewhere.
func targetFolder(p *lang.Project, root, triple string) (string, error) {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{triple, root}, Language{}.Variables(p).Significant(p.Environ)...), "\x00")))
	dir := filepath.Join(p.CacheDir, "rust", "target-"+hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// It goes when it has not been used for long, as all of the cache.
	now := time.Now()
	return dir, os.Chtimes(dir, now, now)
}

// environ are the variables that are ours. What depends on them is the same in
// every build.
func (c *compilation) environ() []string {
	set := []string{
		"CARGO_TARGET_DIR=" + c.folder, "CARGO_BUILD_BUILD_DIR=" + c.folder, "CARGO_INCREMENTAL=0", "CARGO_TERM_COLOR=never",
	}
	if !c.found.Strips && lang.Lookup(c.project.Environ, "CARGO_PROFILE_RELEASE_STRIP") == "" {
		set = append(set, "CARGO_PROFILE_RELEASE_STRIP=symbols")
	}
	if c.target.linker != "" {
		set = append(set, "CARGO_TARGET_"+cargo.EnvName(c.target.triple)+"_LINKER="+c.target.linker)
	}
	return set
}

// flags make the program stand alone, and leave no folder of this machine in it:
// messages of panics name the files of the code.
func (c *compilation) flags(packages []pkg) []string {
	buildID := "link-arg=-Wl,--build-id=none"
	if c.target.bare {
		buildID = "link-arg=--build-id=none"
	}
	flags := []string{"-C", "target-feature=+crt-static", "-C", buildID}
	if c.target.shared {
		flags = nil
	}
	hide := func(from, to string) { flags = append(flags, "--remap-path-prefix="+from+"="+to) }
	// The last one that fits holds.
	if home := cargo.Home(c.project.Environ); home != "" {
		hide(home, "/cargo")
	}
	hide(filepath.Join(c.toolchain.sysroot, "lib", "rustlib", "src", "rust"), "/rustc/"+c.toolchain.commit)
	hide(c.found.Root, "/src")
	hide(c.folder, "/target")
	var shops []string // folders of packages, which are called after where they come from
	for _, p := range packages {
		shop := filepath.Dir(p.dir())
		switch {
		case p.Source == "" && !cargo.Below(c.found.Root, p.dir()):
			hide(p.dir(), "/src/"+p.Name)
		case strings.HasPrefix(p.Source, "registry+") || strings.HasPrefix(p.Source, "sparse+"):
			if !slices.Contains(shops, shop) {
				shops = append(shops, shop)
			}
		}
	}
	slices.Sort(shops)
	for _, shop := range shops {
		hide(shop, "/cargo/registry")
	}
	return flags
}

// compileError hands on the compiler's own words: they name file, line and
// column relative to the workspace.
func (c *compilation) compileError(output string, err error) error {
	if _, ran := errors.AsType[*exec.ExitError](err); !ran {
		return err
	}
	failure := fault.New(fault.Build, "build.rust", c.project.Label, "the code does not compile\n%s", strings.TrimRight(output, "\n"))
	if strings.Contains(output, "cannot find -lc") || strings.Contains(output, "unable to find library -lc\n") {
		return failure.WithHint("the C library of this machine has no static part: install it (Debian: libc6-dev; Fedora: glibc-static)\nor use musl: rustup target add %s", strings.Replace(c.target.triple, "-gnu", "-musl", 1))
	}
	if strings.Contains(output, "could not find native static library") || strings.Contains(output, "cannot find -l") || strings.Contains(output, "unable to find library -l") {
		return failure.WithHint("the program is linked statically, and a library has no static part on this machine: install it, or choose a package that brings it along\n%s", lang.WithoutToolchain)
	}
	return failure
}

// forget makes cargo build the packages of the project again whose content is
// not that of the last build. Cargo goes by the files' times, and those of a file
// that was put back, unpacked or moved here say nothing.
func (c *compilation) forget(ctx context.Context, packages []pkg) error {
	record := filepath.Join(c.folder, "kn-lite.json")
	before, now := map[string]string{}, map[string]string{}
	if raw, err := regular.ReadFile(record); err == nil {
		// A broken record knows nothing.
		_ = json.Unmarshal(raw, &before)
	}
	for _, p := range packages {
		if p.Source != "" {
			continue
		}
		sum, err := c.digest(ctx, p)
		if err != nil {
			return err
		}
		if now[p.ID] = sum; before[p.ID] == sum {
			continue
		}
		if err := c.makeAgain(p.Name); err != nil {
			return err
		}
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	return os.WriteFile(record, text, 0o644)
}

// digest is over all that a package may be made of: its files, those outside of it
// that its code includes, and for one with a build script the whole workspace.
func (c *compilation) digest(ctx context.Context, p pkg) (string, error) {
	dir := p.dir()
	if p.scripted() && cargo.Below(c.found.Root, dir) {
		dir = c.found.Root
	}
	sum, err := digest(ctx, dir)
	if err != nil {
		return "", err
	}
	for _, file := range include.Outside(dir, skipper(dir, nil)) {
		raw, err := regular.ReadFile(file)
		if err != nil {
			continue // as the compiler will say
		}
		one := sha256.Sum256(raw)
		sum += hex.EncodeToString(one[:8])
	}
	return sum, nil
}

// digest is over the names and contents of the files in a folder.
func digest(ctx context.Context, dir string) (string, error) {
	all := sha256.New()
	err := walkSources(ctx, dir, func(at, rel string, info fs.FileInfo) error {
		if info.IsDir() {
			return nil
		}
		one, err := regular.Digest(at)
		if err != nil {
			return err
		}
		_, err = all.Write([]byte(rel + "\x00" + one + "\n"))
		return err
	})
	return hex.EncodeToString(all.Sum(nil)), err
}

// walkSources visits the folders and regular files below dir that cargo may compile,
// each with its path and its path below dir. A link to a file is one; other links, and
// what is neither, are no sources.
func walkSources(ctx context.Context, dir string, visit func(at, rel string, info fs.FileInfo) error) error {
	skip := skipper(dir, nil)
	return filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil || rel == "." {
			return err
		}
		if out, _ := skip(filepath.ToSlash(rel), entry.IsDir()); out {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(at)
		if err != nil || !entry.IsDir() && !info.Mode().IsRegular() {
			return nil
		}
		return visit(at, rel, info)
	})
}

func copyFile(from, to string) (size int64, err error) {
	in, err := regular.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	size, err = io.Copy(out, in)
	return size, errors.Join(err, out.Close())
}
