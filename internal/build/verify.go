package build

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Verify builds the project twice, with caches of its own that are empty, and
// compares the images. The second time everything is different that must not
// matter: the folder, the files' times and order, the umask, time zone, locale,
// temporary folder and number of CPUs. When the images differ the error is
// Build and names the first difference.
//
// The result is the first build; release removes what it is made of. Caches of
// the toolchains themselves are used: they are theirs to get right. The second
// build is a process of its own (see Again), so nothing of this one changes.
func Verify(ctx context.Context, spec Spec) (result *Result, release func() error, err error) {
	scratches := filepath.Join(spec.CacheDir, verifyFolder)
	if err := os.MkdirAll(scratches, 0o755); err != nil {
		return nil, nil, err
	}
	scratch, err := os.MkdirTemp(scratches, "build-*")
	if err != nil {
		return nil, nil, err
	}
	release = func() error { return os.RemoveAll(scratch) }
	if result, err = verify(ctx, spec, scratch); err != nil {
		return nil, nil, errors.Join(err, release())
	}
	return result, release, nil
}

// verifyFolder is where Verify works, below the cache folder.
const verifyFolder = "verify"

func verify(ctx context.Context, spec Spec, scratch string) (*Result, error) {
	one := spec
	one.CacheDir = filepath.Join(scratch, "1", "cache")
	first, err := Prepare(ctx, one)
	if err != nil {
		return nil, err
	}
	defer first.Close()
	if ref := first.builder.baseRef(); ref != "" && (one.Resolve != nil || strings.Contains(ref, "@")) {
		// A tag that moves between the two builds would look like a difference.
		if first.builder.resolved, err = first.builder.resolve(ctx, ref); err != nil {
			return nil, err
		}
	}
	result, err := first.Build(ctx)
	if err != nil {
		return nil, err
	}
	first.builder.spec.Progress.Note("building again: another folder, other file times, umask, time zone, locale and number of CPUs")
	again, err := first.buildVaried(ctx, filepath.Join(scratch, "2"))
	if err != nil {
		return nil, err
	}
	if result.Digest == again.Digest {
		return result, nil
	}
	return nil, first.difference(ctx, result, again)
}

// difference loads both images and names what is not the same.
func (p *Prepared) difference(ctx context.Context, a, b *Result) error {
	known := map[v1.Hash][]contents.Entry{}
	for i := range a.Builds {
		one, err := contents.Load(ctx, a.Builds[i].Image, known)
		if err != nil {
			return err
		}
		two, err := contents.Load(ctx, b.Builds[i].Image, known)
		if err != nil {
			return err
		}
		d := contents.Compare(one, two)
		first := d.First()
		if first == "" {
			continue
		}
		if len(a.Builds) > 1 {
			first += " for " + a.Builds[i].Platform.String()
		}
		e := fault.New(fault.Build, "build.verify", p.builder.project.Label, "two builds of the same input differ, first in %s", first)
		var more []string
		for _, f := range d.Files {
			more = append(more, "/"+f.Path)
		}
		if len(more) > 10 {
			more = append(more[:10], "…")
		}
		return e.WithHint("something in the build depends on the folder, the time, the umask, the locale or the number of CPUs; these files differ:\n%s", strings.Join(more, "\n"))
	}
	return fault.New(fault.Build, "build.verify", p.builder.project.Label, "two builds of the same input differ: %s and %s", a.Digest, b.Digest)
}

// copyTo copies the project, and the folders beside it that it needs, so that
// they stand to each other as they did. It returns the project's new folder.
func (p *Prepared) copyTo(ctx context.Context, dir string) (string, error) {
	project := p.builder.project
	dirs := []string{project.Dir}
	var files []string
	if keyed, ok := p.builder.language.(lang.Keyed); ok {
		in, err := keyed.Inputs(ctx, project, p.builder.plan)
		if err != nil {
			return "", err
		}
		for _, f := range in.Folders {
			dirs = append(dirs, f.Dir)
		}
		for _, f := range in.Files {
			files = append(files, f.Path)
		}
	}
	top := project.Dir
	for _, other := range append(slices.Clone(dirs), files...) {
		for !below(top, other) {
			top = filepath.Dir(top)
		}
	}
	c := &copier{from: top, to: dir, dirs: realPaths(dirs), omit: []string{p.builder.spec.CacheDir, filepath.Dir(filepath.Dir(dir))}, done: map[string]bool{}}
	for _, d := range dirs {
		if err := c.folder(ctx, d); err != nil {
			return "", err
		}
	}
	for _, f := range files {
		if err := c.file(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return c.place(project.Dir), nil
}

// realPaths is dirs without links in them, to compare what links lead to with.
func realPaths(dirs []string) []string {
	var out []string
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			out = append(out, real)
		}
	}
	return out
}

func below(top, at string) bool {
	rel, err := filepath.Rel(top, at)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// copier copies files in another order than they were made, with other times.
type copier struct {
	from, to string
	dirs     []string // all that is copied
	omit     []string
	done     map[string]bool
}

func (c *copier) place(at string) string {
	rel, err := filepath.Rel(c.from, at)
	if err != nil {
		return c.to // not reached: from is above all that is copied
	}
	return filepath.Join(c.to, rel)
}

func (c *copier) folder(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := filepath.Base(dir)
	if c.done[dir] || name == ".git" || name == stateFolder || slices.Contains(c.omit, dir) {
		return nil
	}
	c.done[dir] = true
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the toolchain says so, if it matters to it
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.place(dir), 0o700); err != nil {
		return err
	}
	for _, e := range slices.Backward(entries) {
		at := filepath.Join(dir, e.Name())
		switch mode := e.Type(); {
		case mode.IsDir():
			err = c.folder(ctx, at)
		case mode.IsRegular():
			err = c.file(at)
		case mode == fs.ModeSymlink:
			err = c.link(at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// link copies a link, or what it leads to when that is a file elsewhere.
func (c *copier) link(at string) error {
	target, err := os.Readlink(at)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(at)
	copied := func(dir string) bool { return below(dir, real) }
	if err == nil && !slices.ContainsFunc(c.dirs, copied) {
		if info, err := os.Stat(real); err == nil && info.Mode().IsRegular() {
			return c.file(at)
		}
	}
	return os.Symlink(target, c.place(at))
}

func (c *copier) file(at string) (err error) {
	if c.done[at] {
		return nil
	}
	c.done[at] = true
	in, err := regular.Open(at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	perm := fs.FileMode(0o600) | info.Mode()&0o100
	out, err := os.OpenFile(c.place(at), os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	when := time.Unix(1_000_000_000+int64(len(c.done)), 0)
	return os.Chtimes(c.place(at), when, when)
}
