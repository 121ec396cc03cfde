package dockerfile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/pattern"
	"github.com/kn-lite/kn-lite/internal/rootfs"
)

// found is a source of COPY in the context.
type found struct {
	name string // real path, with no link in it
	base string // the name it goes by
	dir  bool
	wild bool // reached by a pattern
}

// match finds the sources that a pattern means: none, where a wildcard finds nothing.
func (c *buildContext) match(pattern string) ([]found, error) {
	clean := strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(pattern)), "/")
	if clean == "" {
		return []found{{name: ".", base: ".", dir: true}}, nil
	}
	names := []string{clean}
	wild := false
	if strings.ContainsAny(clean, "*?[") {
		matches, err := fs.Glob(c.fs, clean)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
		// A name with brackets, as Next.js has them, is taken as it is when there is one.
		if _, err := fs.Lstat(c.fs, clean); len(matches) > 0 || err != nil {
			names, wild = matches, true
		}
		if folder := rootfs.BeforeWildcard(clean); len(names) == 0 && folder != "" {
			if _, err := fs.Stat(c.fs, folder); err != nil {
				return nil, fault.New(fault.Build, "dockerfile.copy", "", "%s: there is no such folder in the context", pattern)
			}
		}
	}
	var out []found
	for _, name := range names {
		real, outside, err := c.resolve(name)
		if err != nil {
			return nil, err
		}
		info, err := fs.Stat(c.fs, real)
		if err != nil && outside != "" {
			return nil, fault.New(fault.Build, "dockerfile.copy", "", "%s: the link to %s leads out of the context", name, outside)
		}
		if err != nil {
			return nil, fault.New(fault.Build, "dockerfile.copy", "", "%s: there is no such file in the context", pattern)
		}
		if c.isIgnored(real) && !(info.IsDir() && c.back) || source.InState(real) {
			if wild {
				continue
			}
			return nil, fault.New(fault.Build, "dockerfile.copy", "", "%s: .dockerignore leaves it out of the context", pattern)
		}
		out = append(out, found{name: real, base: path.Base(name), dir: info.IsDir(), wild: wild})
	}
	return out, nil
}

// resolve follows the links in name. The context is the root that absolute ones begin
// at, and that none leads above, as with Docker; out is what a link was meant to lead
// to that does.
func (c *buildContext) resolve(name string) (real, out string, err error) {
	real, rest := ".", name
	for hops := 0; rest != ""; {
		part, more, _ := strings.Cut(rest, "/")
		next := path.Join(real, part)
		info, err := fs.Lstat(c.fs, next)
		if err != nil || info.Mode().Type() != fs.ModeSymlink {
			real, rest = next, more
			continue
		}
		target, err := fs.ReadLink(c.fs, next)
		if err != nil {
			return "", "", err
		}
		if hops++; hops > 40 {
			return "", "", fault.New(fault.Build, "dockerfile.copy", "", "%s: the link to %s leads to itself", name, target)
		}
		to := path.Join(real, target)
		if path.IsAbs(target) || !fs.ValidPath(to) {
			out = target
		}
		if path.IsAbs(target) {
			to = target
		}
		real, rest = ".", strings.TrimPrefix(path.Join("/", to, more), "/")
	}
	return real, out, nil
}

// files lists what a source brings, below the destination.
func (c *buildContext) files(ctx context.Context, f found, exclude *pattern.Matcher) ([]layer.File, error) {
	return c.filesUnless(ctx, f, exclude, nil)
}

// filesUnless is files without those that skip, which may be nil, is true of.
func (c *buildContext) filesUnless(ctx context.Context, f found, exclude *pattern.Matcher, skip func(string) bool) ([]layer.File, error) {
	inside := func(name string) (string, bool) {
		if f.name == "." {
			return name, true
		}
		if name == f.name {
			return ".", true
		}
		return strings.CutPrefix(name, f.name+"/")
	}
	filter := func(name string, dir bool) (out, prune bool) {
		below, ok := inside(name)
		if !ok {
			// A folder on the way is looked into, and dropped below.
			return !strings.HasPrefix(f.name+"/", name+"/"), true
		}
		if source.InState(name) { // a context that had it would grow with each build
			return true, true
		}
		if c.isIgnored(name) {
			return true, !c.back
		}
		if exclude != nil && below != "." {
			if out, _ = exclude.Match(below); out {
				return true, !exclude.Exclusions()
			}
		}
		if (f.dir || f.wild) && c.leaveOut(name, dir) {
			return true, !c.back
		}
		return skip != nil && skip(name), false
	}
	listed, err := c.tree.Walk(ctx, "", filter, c.report.Note)
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind == fault.Usage {
		return nil, fault.New(fault.Build, e.Op, e.Subject, "%w", e.Err).
			WithHint("copy what it points to into the folder, or list the link in .dockerignore")
	}
	if err != nil {
		return nil, err
	}
	c.secrets.Report()
	var files []layer.File
	for _, file := range listed {
		below, ok := inside(file.Path)
		switch {
		case !ok, f.dir && below == ".":
			continue
		case !f.dir:
			file.Path = f.base
		default:
			file.Path = below
		}
		files = append(files, file)
	}
	return files, nil
}

// merge puts the files of several sources together; the last one wins.
func merge(all []layer.File) []layer.File {
	at := map[string]int{}
	var out []layer.File
	for _, f := range all {
		if i, ok := at[f.Path]; ok {
			out[i] = f
			continue
		}
		at[f.Path] = len(out)
		out = append(out, f)
	}
	return slices.Clip(out)
}

// inlineFile is a here-document of COPY.
func inlineFile(name, content string) layer.File { return layer.Bytes(name, 0o644, []byte(content)) }

// sniff reads the first bytes of a file.
func sniff(f layer.File, n int) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	head, err := bufio.NewReaderSize(r, n).Peek(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return head, errors.Join(err, r.Close())
}
