// Package mirror gives a folder of this machine the files that layers would have
// in an image, and brings it up to date when they change: each file is replaced
// as a whole, so that a process that has the old one open goes on with it.
package mirror

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// newPrefix begins the names of files that are still being written.
const newPrefix = ".kn-lite-new-"

// Mirror is the folder Root and what has been put into it. The zero value of all
// else is an empty folder.
type Mirror struct {
	Root   string
	layers map[string]content
}

// content is what a layer has put there.
type content struct {
	key   string // "" when nothing but the files themselves identifies it
	paths []string
}

// Has reports whether a layer is there with the content of key.
func (m *Mirror) Has(name, key string) bool { return key != "" && m.layers[name].key == key }

// Put makes files those of the layer name, in place of those that it had. It
// reports whether that has changed anything.
func (m *Mirror) Put(ctx context.Context, name, key string, files []layer.File) (changed bool, err error) {
	if m.layers == nil {
		m.layers = map[string]content{}
	}
	now := content{key: key}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return changed, err
		}
		if !fs.ValidPath(f.Path) {
			return changed, &fs.PathError{Op: "put", Path: f.Path, Err: fs.ErrInvalid}
		}
		different, err := m.put(f)
		if err != nil {
			return changed, err
		}
		changed = changed || different
		now.paths = append(now.paths, f.Path)
	}
	before := m.layers[name]
	m.layers[name] = now
	removed, err := m.removeStale(before.paths)
	return changed || removed, err
}

// Link makes the files below dir those of the layer name, as hard links where the
// file system has them: they are not to be written to.
func (m *Mirror) Link(ctx context.Context, name, key, dir string) (changed bool, err error) {
	var files []layer.File
	err = filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		f, err := onDisk(at, filepath.ToSlash(rel), entry)
		files = append(files, f)
		return err
	})
	if err != nil {
		return false, err
	}
	for i, f := range files {
		if f.Mode.IsRegular() && m.link(filepath.Join(dir, filepath.FromSlash(f.Path)), f) {
			files[i].Open = nil // it is in its place
			changed = true
		}
	}
	more, err := m.Put(ctx, name, key, files)
	return changed || more, err
}

func onDisk(at, rel string, entry fs.DirEntry) (layer.File, error) {
	info, err := entry.Info()
	f := layer.File{Path: rel, Open: func() (io.ReadCloser, error) { return regular.Open(at) }}
	if err != nil {
		return f, err
	}
	f.Mode, f.Size = info.Mode(), info.Size()
	if f.Mode.Type() == fs.ModeSymlink {
		f.Link, err = os.Readlink(at)
	}
	return f, err
}

// link reports whether f is now a hard link to the file at from.
func (m *Mirror) link(from string, f layer.File) bool {
	to := m.at(f.Path)
	if _, err := os.Lstat(to); err == nil || m.makeFolder(path.Dir(f.Path)) != nil {
		return false
	}
	return os.Link(from, to) == nil
}

func (m *Mirror) at(name string) string { return filepath.Join(m.Root, filepath.FromSlash(name)) }

func (m *Mirror) put(f layer.File) (changed bool, err error) {
	if f.Mode.IsRegular() && f.Open == nil {
		return false, nil
	}
	to := m.at(f.Path)
	if err := m.makeFolder(path.Dir(f.Path)); err != nil {
		return false, err
	}
	info, err := os.Lstat(to)
	switch {
	case err == nil && info.Mode().Type() != f.Mode.Type():
		if err := os.RemoveAll(to); err != nil {
			return false, err
		}
		info = nil
	case errors.Is(err, fs.ErrNotExist):
		info = nil
	case err != nil:
		return false, err
	}
	switch f.Mode.Type() {
	case fs.ModeDir:
		return info == nil, os.MkdirAll(to, 0o755)
	case fs.ModeSymlink:
		return putLink(f, to, info)
	}
	if info != nil && info.Size() == f.Size && info.Mode().Perm() == f.Mode.Perm() {
		if same, err := sameContent(f, to); same || err != nil {
			return false, err
		}
	}
	return true, write(f, to)
}

// makeFolder makes a folder with those above it, in place of files and links that
// stood there before.
func (m *Mirror) makeFolder(name string) error {
	at := m.at(name)
	info, err := os.Lstat(at)
	if err == nil && info.IsDir() {
		return nil
	}
	if name != "." {
		if err := m.makeFolder(path.Dir(name)); err != nil {
			return err
		}
		if err := os.RemoveAll(at); err != nil {
			return err
		}
	}
	return os.MkdirAll(at, 0o755)
}

func putLink(f layer.File, to string, info fs.FileInfo) (bool, error) {
	target := filepath.FromSlash(f.Link)
	if info != nil {
		if has, err := os.Readlink(to); err == nil && has == target {
			return false, nil
		}
		if err := os.Remove(to); err != nil {
			return false, err
		}
	}
	return true, os.Symlink(target, to)
}

// write replaces the file at to by a rename.
func write(f layer.File, to string) error {
	opts := atomicfile.Options{Disposable: true, TempPrefix: newPrefix}
	return atomicfile.WriteTo(to, opts, func(temp *os.File) error {
		r, err := f.Open()
		if err != nil {
			return err
		}
		_, err = io.Copy(temp, r)
		return errors.Join(err, r.Close(), temp.Chmod(f.Mode.Perm()))
	})
}

func sameContent(f layer.File, to string) (same bool, err error) {
	old, err := regular.Open(to)
	if err != nil {
		return false, err
	}
	defer old.Close()
	r, err := f.Open()
	if err != nil {
		return false, err
	}
	same, err = equal(old, r)
	return same, errors.Join(err, r.Close())
}

func equal(a, b io.Reader) (bool, error) {
	one, other := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, one)
		m, errB := io.ReadFull(b, other)
		if !bytes.Equal(one[:n], other[:m]) {
			return false, nil
		}
		for _, err := range []error{errA, errB} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return false, err
			}
		}
		if errA != nil || errB != nil {
			return errA != nil && errB != nil, nil
		}
	}
}

// removeStale removes those of paths that no layer has any more. What the program
// has written itself stays.
func (m *Mirror) removeStale(paths []string) (removed bool, err error) {
	if len(paths) == 0 {
		return false, nil
	}
	used := map[string]bool{}
	for _, c := range m.layers {
		for _, name := range c.paths {
			for ; name != "." && !used[name]; name = path.Dir(name) {
				used[name] = true
			}
		}
	}
	stale := slices.DeleteFunc(slices.Clone(paths), func(name string) bool { return used[name] })
	slices.SortFunc(stale, func(a, b string) int { return strings.Compare(b, a) }) // what is in a folder first
	for _, name := range stale {
		removeErr := os.Remove(m.at(name))
		switch info, statErr := os.Lstat(m.at(name)); {
		case removeErr == nil, statErr != nil: // a file may stand where its folder was
			removed = true
		case info.IsDir():
			// Something is in it that is not ours.
		default:
			return removed, removeErr
		}
	}
	return removed, nil
}
