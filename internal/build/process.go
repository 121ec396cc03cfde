package build

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/mirror"
)

// Process is what a project becomes as a process of this machine: what its image
// would start, by the names that the files have here.
type Process struct {
	Language string
	Style    string   // how the project is started, in words
	Command  []string // as the image has it: it listens on port 8080 where it names one
	Env      []string // KEY=value, over the environment of whoever starts it
	Path     []string // folders in front of PATH
	Dir      string   // the working folder
	Health   string   // a path that is answered as soon as the function has been started; "" is none
	Changed  bool     // since the last time, command and environment aside
}

// Unpack makes the files that the project's image would have, for this machine,
// and brings the folder of to up to date with them. Nothing is written to the
// project. What does not change from one call to the next is neither made again
// nor compared.
func (p *Prepared) Unpack(ctx context.Context, to *mirror.Mirror) (*Process, error) {
	b := p.builder
	target := lang.Target{Platform: v1.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}, Local: true}
	layers, err := b.language.Layers(ctx, b.project, b.plan, target)
	if err != nil {
		return nil, b.describe(err)
	}
	place := place{root: to.Root}
	out := &Process{
		Language: b.language.Name(), Style: b.plan.Style, Health: b.plan.Health, Dir: place.file(b.plan.WorkingDir),
		Command: place.texts(b.plan.Entrypoint), Path: place.texts(b.plan.Path),
		// The user has a home here.
		Env: place.texts(slices.DeleteFunc(slices.Clone(b.plan.Env), func(kv string) bool { return strings.HasPrefix(kv, "HOME=") })),
	}
	if l, ok := b.language.(lang.Locator); ok {
		if out.Command[0], err = l.Locate(ctx, b.project, out.Command[0]); err != nil {
			return nil, b.describe(err)
		}
	}
	for _, l := range layers {
		changed, err := b.unpackLayer(ctx, to, l, place)
		if err != nil {
			return nil, b.describe(err)
		}
		out.Changed = out.Changed || changed
	}
	return out, os.MkdirAll(out.Dir, 0o755)
}

// ownLayer is the layer of a project's own files, in every language: it changes with
// each save, and no other process has a use for it.
const ownLayer = "application"

// unpackLayer brings one layer up to date. One with a key is made once for all
// processes on this machine.
func (b *builder) unpackLayer(ctx context.Context, to *mirror.Mirror, l lang.Layer, place place) (changed bool, err error) {
	key := b.unpackedKey(l)
	if to.Has(l.Name, key) {
		return false, nil
	}
	if l.Key == "" || l.Name == ownLayer {
		err = b.withFiles(ctx, l, func(files []layer.File) (err error) {
			if files, err = place.argumentFiles(files, b.plan.Entrypoint); err != nil {
				return err
			}
			changed, err = to.Put(ctx, l.Name, key, files)
			return err
		})
		return changed, err
	}
	made := filepath.Join(unpacked(b.spec.CacheDir), key)
	if _, err := os.Stat(made); errors.Is(err, fs.ErrNotExist) {
		if err := b.makeUnpacked(ctx, l, made); err != nil {
			return false, err
		}
	}
	if b.spec.Now != nil {
		// What has not been used for long is removed.
		_ = os.Chtimes(made, b.spec.Now(), b.spec.Now())
	}
	return to.Link(ctx, l.Name, key, made)
}

// makeUnpacked makes the folder of a layer; it is there as a whole or not at all.
func (b *builder) makeUnpacked(ctx context.Context, l lang.Layer, at string) error {
	stage := b.spec.Progress.Start(l.Name, 0)
	scratch, err := lang.NewScratch(filepath.Dir(at), ".new-*")
	if err == nil {
		err = b.withFiles(ctx, l, func(files []layer.File) error { return lang.WriteFiles(scratch.Dir, files) })
		if err == nil {
			err = os.Rename(scratch.Dir, at)
		}
		if errors.Is(err, fs.ErrExist) {
			err = nil // another one has made it meanwhile
		}
		err = errors.Join(err, scratch.Close())
	}
	if err != nil {
		stage.Fail()
		return err
	}
	stage.Done(l.Name)
	b.store.Prune(filepath.Dir(at))
	return nil
}

// withFiles calls use with the files of a layer, as long as they are there.
func (b *builder) withFiles(ctx context.Context, l lang.Layer, use func([]layer.File) error) error {
	files, cleanup, err := l.Files(ctx)
	if err == nil {
		err = use(files)
	}
	if cleanup != nil {
		err = errors.Join(err, cleanup())
	}
	return err
}

// unpackedKey identifies a layer on this machine, "" when only its files do.
func (b *builder) unpackedKey(l lang.Layer) string {
	if l.Key == "" {
		return ""
	}
	parts := append([]string{b.language.Name(), l.Name, l.Key}, b.spec.BuildEnv...)
	for _, f := range b.variables.Facts(b.project.Environ) {
		parts = append(parts, f.Name+"="+f.Value)
	}
	return hexDigest([]byte(strings.Join(parts, "\x00")))
}

// unpacked is where layers are that several processes can have.
func unpacked(cacheDir string) string { return filepath.Join(cacheDir, "unpacked") }

// Watched are the folders and files that decide what Unpack makes.
func (p *Prepared) Watched(ctx context.Context) ([]lang.Folder, []string, error) {
	in, err := p.builder.languageInputs(ctx)
	if err != nil {
		return nil, nil, p.builder.describe(err)
	}
	var files []string
	for _, f := range in.Files {
		files = append(files, f.Path)
	}
	return in.Folders, files, nil
}

// place turns names of an image into those of a folder of this machine.
type place struct{ root string }

// file is where the image's file or folder of that name is.
func (p place) file(name string) string {
	return filepath.Join(p.root, filepath.FromSlash(strings.TrimPrefix(name, "/")))
}

// folders are those of an image that are kn-lite's. All others of its names are
// this machine's too.
func (p place) folders() []string {
	return []string{"/app", "/dependencies", "/kn-lite"}
}

// text replaces the image's names wherever they stand in a text as a whole.
func (p place) text(text string) string {
	var out strings.Builder
	for at := 0; at < len(text); {
		name := ""
		if text[at] == '/' && (at == 0 || !partOfName(text[at-1])) {
			for _, folder := range p.folders() {
				rest, ok := strings.CutPrefix(text[at:], folder)
				if ok && (rest == "" || rest[0] == '/' || !partOfName(rest[0])) {
					name = folder
				}
			}
		}
		if name == "" {
			out.WriteByte(text[at])
			at++
			continue
		}
		out.WriteString(p.file(name))
		at += len(name)
	}
	return out.String()
}

func (p place) texts(texts []string) []string {
	var out []string
	for _, text := range texts {
		out = append(out, p.text(text))
	}
	return out
}

func partOfName(c byte) bool {
	return c == '/' || c == '.' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

// argumentFiles gives those of files that a command reads its arguments from, as
// java does with @FILE, the names of this machine.
func (p place) argumentFiles(files []layer.File, command []string) ([]layer.File, error) {
	out := slices.Clone(files)
	for i, f := range out {
		if !slices.Contains(command, "@/"+f.Path) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		out[i] = layer.Bytes(f.Path, f.Mode.Perm(), []byte(p.text(string(text))))
	}
	return out, nil
}
