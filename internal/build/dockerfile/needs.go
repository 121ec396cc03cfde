package dockerfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
)

// Needed is what a build takes from this machine, for one that runs elsewhere.
type Needed struct {
	// File is the Dockerfile's content. Name is its path in the context, or ""
	// when it stands outside of it.
	File []byte
	Name string
	// Ignore is the content of the .dockerignore beside a Dockerfile that stands outside
	// of the context; nil when there is none.
	Ignore []byte
	// Files are the context as COPY may read it: without what .dockerignore names
	// and without what looks like a secret, unless an instruction names it itself.
	Files []layer.File
	// Images are those that FROM, COPY --from and mounts name, as far as that can
	// be told without building.
	Images []string
	// Demands are what another builder may not know how to do.
	Demands []Demand

	tree *source.Tree
}

// Close ends the use of the context; no file can be opened afterwards.
func (n *Needed) Close() error { return n.tree.Close() }

// IgnoreFile returns the content of the .dockerignore that counts, nil where there is
// none.
func (n *Needed) IgnoreFile() ([]byte, error) {
	if n.Ignore != nil {
		return n.Ignore, nil
	}
	for _, name := range []string{n.Name + ".dockerignore", ".dockerignore"} {
		for _, f := range n.Files {
			if f.Path != name {
				continue
			}
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			raw, err := io.ReadAll(r)
			return raw, errors.Join(err, r.Close())
		}
	}
	return nil, nil
}

// Needs reads the Dockerfile and lists the context. What is wrong with the
// Dockerfile is found here, as Build would find it.
func Needs(ctx context.Context, spec Spec) (*Needed, error) {
	b := &builder{Spec: spec}
	var err error
	if b.tree, err = source.Open(spec.Dir); err != nil {
		return nil, err
	}
	b.tree.AnyLinks = true // COPY of a folder copies the links in it as they are
	raw, err := b.readFile()
	if err == nil {
		b.plan, err = b.parse(raw)
	}
	if err == nil {
		err = b.openContext()
	}
	if err != nil {
		return nil, errors.Join(err, b.tree.Close())
	}
	needed := &Needed{File: raw, tree: b.tree}
	if b.File == "" || fs.ValidPath(b.file) && b.inContext(b.file) {
		needed.Name = b.file
	} else {
		needed.Ignore = b.context.beside
	}
	sources, images := b.references()
	needed.Images, needed.Demands = images, b.demands()
	if needed.Files, err = b.filesToSend(ctx, sources); err != nil {
		return nil, errors.Join(err, b.tree.Close())
	}
	return needed, nil
}

// inContext reports whether name, relative to the context, is where --file points.
func (b *builder) inContext(name string) bool {
	rel, err := filepath.Rel(b.Dir, b.File)
	return err == nil && filepath.ToSlash(rel) == name
}

// filesToSend returns the files of the context that the build needs.
func (b *builder) filesToSend(ctx context.Context, sources []string) ([]layer.File, error) {
	all := found{name: ".", base: ".", dir: true}
	files, err := b.context.filesUnless(ctx, all, nil, func(name string) bool {
		// Nobody may ever copy such a link; only a COPY that meets it is an error.
		info, err := fs.Lstat(b.context.fs, name)
		if err != nil || info.Mode().Type() != fs.ModeSymlink {
			return false
		}
		target, err := fs.ReadLink(b.context.fs, name)
		if err == nil && !path.IsAbs(target) && !filepath.IsAbs(target) {
			if _, err = fs.Stat(b.context.fs, name); err == nil || errors.Is(err, fs.ErrNotExist) {
				return false
			}
		}
		b.Report.Note(name + " is not sent: the link leads out of the folder")
		return true
	})
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, f := range files {
		have[f.Path] = true
	}
	add := func(f layer.File, name string) {
		if !have[name] {
			have[name] = true
			f.Path = name
			files = append(files, f)
		}
	}
	for _, name := range []string{b.file, b.file + ".dockerignore", ".dockerignore"} {
		if fs.ValidPath(name) {
			if raw, err := fs.ReadFile(b.context.fs, name); err == nil {
				add(layer.Bytes(name, 0o644, raw), name)
			}
		}
	}
	for _, pattern := range sources {
		// What is wrong with a source is told by the build, if it gets there.
		matches, err := b.context.match(pattern)
		if err != nil {
			continue
		}
		for _, m := range matches {
			if m.dir || m.wild || have[m.name] {
				continue
			}
			named, err := b.context.files(ctx, m, nil)
			if err != nil {
				return nil, err
			}
			for _, f := range named {
				add(f, m.name)
			}
		}
	}
	slices.SortFunc(files, func(a, b layer.File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// references returns the sources in the context and the images that the stages up to
// the target name.
func (b *builder) references() (sources, images []string) {
	stages, needed := b.plan.stages[:b.plan.target+1], b.plan.needed()
	image := func(i int, name string, env map[string]string) {
		name, err := b.plan.expand(name, env)
		if err != nil || name == "" || name == "scratch" || slices.Contains(images, name) {
			return
		}
		if _, stage := findStage(stages[:i], name); stage || strings.Trim(name, "0123456789") == "" {
			return
		}
		images = append(images, name)
	}
	for i, stage := range stages {
		if !needed[i] {
			continue
		}
		image(i, stage.BaseName, b.plan.global)
		env := maps.Clone(b.plan.global)
		for _, cmd := range stage.Commands {
			switch c := cmd.(type) {
			case *instructions.ArgCommand:
				b.declare(env, c)
			case *instructions.EnvCommand:
				for _, kv := range c.Env {
					env[kv.Key] = kv.Value
				}
			case *instructions.AddCommand:
				sources = append(sources, b.local(c.SourcePaths, env)...)
			case *instructions.CopyCommand:
				if c.From != "" {
					image(i, c.From, nil)
				} else {
					sources = append(sources, b.local(c.SourcePaths, env)...)
				}
			case *instructions.RunCommand:
				for _, m := range instructions.GetMounts(c) {
					if m.From != "" {
						image(i, m.From, nil)
					}
				}
			}
		}
	}
	return sources, images
}

func (b *builder) declare(env map[string]string, c *instructions.ArgCommand) {
	for _, arg := range c.Args {
		if value, ok := b.Args[arg.Key]; ok {
			env[arg.Key] = value
		} else if arg.Value != nil {
			if value, err := b.plan.expand(*arg.Value, env); err == nil {
				env[arg.Key] = value
			}
		}
	}
}

// local are the sources that are paths.
func (b *builder) local(paths []string, env map[string]string) []string {
	var out []string
	for _, text := range paths {
		text, err := b.plan.expand(text, env)
		if u, urlErr := url.Parse(text); err == nil && (urlErr != nil || u.Scheme == "" || u.Host == "") {
			out = append(out, text)
		}
	}
	return out
}
