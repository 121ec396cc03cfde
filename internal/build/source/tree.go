// Package source reads a project's folder and nothing outside of it. Links that
// lead out are refused, files that are not files are named instead of read, and
// a file that changes under the reader's hands is an error, not half a file.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Tree is an open folder.
type Tree struct {
	dir  string
	root *os.Root
	sums Sums // nil is none
	// AnyLinks has Walk list links wherever they lead to. They are not followed.
	AnyLinks bool
}

// Sums knows digests of files that have not changed since they were read.
type Sums interface {
	// DigestBy is the SHA-256 of the content of the file at an absolute path, in hex.
	// info is its os.Stat, and hash reads it when it has to be read.
	DigestBy(path string, info fs.FileInfo, hash func() (string, error)) (string, error)
}

// Remember has the files that Walk lists from now on look up their digests in sums.
func (t *Tree) Remember(sums Sums) { t.sums = sums }

// Open opens the folder dir.
func Open(dir string) (*Tree, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		kind := fault.Failure
		if errors.Is(err, fs.ErrNotExist) {
			kind = fault.NotFound
		} else if info, statErr := os.Stat(abs); statErr == nil && !info.IsDir() {
			kind = fault.Usage
		}
		return nil, (&fault.Error{Op: "build.source", Kind: kind, Subject: dir, Err: regular.Cause(err)}).
			WithHint("name the function's folder: kn-lite build DIR")
	}
	return &Tree{dir: abs, root: root}, nil
}

// Dir is the folder's absolute path.
func (t *Tree) Dir() string { return t.dir }

// FS reads regular files by slash-separated names. Links that lead out of the
// folder are errors.
func (t *Tree) FS() fs.FS { return regular.FS(t.root) }

// Close ends the use of the folder.
func (t *Tree) Close() error { return t.root.Close() }

// Filter decides about a file or folder: whether it stays out of the image, and
// for a folder whether nothing below it needs a look.
type Filter func(name string, dir bool) (out, prune bool)

// Walk lists the files below the folder that filter lets pass, sorted, as
// they shall stand in the image below prefix: modes are 0755 for folders and
// executables and 0644 for all else, whatever the umask was. Sockets, FIFOs and
// devices are left out, each with a word to note: reading one could wait for ever.
func (t *Tree) Walk(ctx context.Context, prefix string, filter Filter, note func(string)) ([]layer.File, error) {
	var files []layer.File
	err := fs.WalkDir(t.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return &fault.Error{Op: "build.source", Subject: name, Err: regular.Cause(err)}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if name == "." {
			return nil
		}
		if out, prune := filter(name, entry.IsDir()); out {
			if prune && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		at := path.Join(prefix, name)
		switch mode := entry.Type(); {
		case mode.IsDir():
			files = append(files, layer.Dir(at, 0o755))
		case mode.IsRegular():
			info, err := t.root.Lstat(name)
			if err != nil {
				return &fault.Error{Op: "build.source", Kind: fault.Conflict, Subject: name, Err: regular.Cause(err)}
			}
			files = append(files, t.file(at, name, info))
		case mode == fs.ModeSymlink:
			target, err := t.link(name)
			if err != nil {
				return err
			}
			files = append(files, layer.Symlink(at, target))
		default:
			note(fmt.Sprintf("left out %s: it is a %s", name, regular.TypeName(mode)))
		}
		return nil
	})
	return files, err
}

// link gives the target of the symlink at name if it stays inside.
func (t *Tree) link(name string) (string, error) {
	refuse := func(format string, args ...any) error {
		return fault.New(fault.Usage, "build.source", name, format, args...).
			WithHint("copy what it points to into the folder, or list the link in .funcignore")
	}
	target, err := t.root.Readlink(name)
	if err != nil {
		return "", &fault.Error{Op: "build.source", Kind: fault.Conflict, Subject: name, Err: regular.Cause(err)}
	}
	if t.AnyLinks {
		return filepath.ToSlash(target), nil
	}
	if filepath.IsAbs(target) || path.IsAbs(filepath.ToSlash(target)) {
		return "", refuse("the link points to %s, which is outside of the function's folder and not the same in the image", target)
	}
	// Root follows the whole chain and errs as soon as one hop leaves the folder.
	if _, err := t.root.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", refuse("the link to %s leads out of the folder or to itself", target)
	}
	return filepath.ToSlash(target), nil
}

func (t *Tree) file(at, name string, info fs.FileInfo) layer.File {
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	f := layer.File{
		Path: at, Mode: mode, Size: info.Size(),
		Open: func() (io.ReadCloser, error) { return t.open(name, info) },
	}
	if t.sums != nil {
		path := filepath.Join(t.dir, filepath.FromSlash(name))
		f.Sum = func() (string, error) {
			return t.sums.DigestBy(path, info, func() (string, error) { return t.hash(name, info) })
		}
	}
	return f
}

func (t *Tree) hash(name string, seen fs.FileInfo) (digest string, err error) {
	f, err := t.open(name, seen)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, f.Close())
}

// open opens the file that Walk has seen, and no other that has taken its name
// since.
func (t *Tree) open(name string, seen fs.FileInfo) (io.ReadCloser, error) {
	f, err := regular.OpenIn(t.root, name)
	if err != nil {
		return nil, regular.Cause(err)
	}
	r := &reader{File: f, seen: seen}
	if err := r.same(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// reader checks on Close that the file is still the one that was opened.
type reader struct {
	*os.File
	seen fs.FileInfo
}

func (r *reader) same() error {
	now, err := r.File.Stat()
	if err != nil {
		return err
	}
	if !now.Mode().IsRegular() || !os.SameFile(now, r.seen) || now.Size() != r.seen.Size() || !now.ModTime().Equal(r.seen.ModTime()) {
		return layer.ErrChanged
	}
	return nil
}

func (r *reader) Close() error {
	return errors.Join(r.same(), r.File.Close())
}
