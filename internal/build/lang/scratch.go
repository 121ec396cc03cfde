package lang

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
)

// Scratch is a folder in which a tool of the host runs, and the tree of what it
// left there. Close removes the folder.
type Scratch struct {
	Dir  string
	tree *source.Tree
}

// NewScratch makes a folder below parent, which is made too; pattern is that of
// os.MkdirTemp.
func NewScratch(parent, pattern string) (*Scratch, error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		return nil, err
	}
	return &Scratch{Dir: dir}, nil
}

// Open is the tree of Dir, or of a folder below it when sub is not empty. It is
// good until Close, and made once.
func (s *Scratch) Open(sub string) (*source.Tree, error) {
	var err error
	s.tree, err = source.Open(filepath.Join(s.Dir, sub))
	return s.tree, err
}

// Close removes the folder with all that is in it.
func (s *Scratch) Close() error {
	var err error
	if s.tree != nil {
		err = s.tree.Close()
	}
	return errors.Join(err, os.RemoveAll(s.Dir))
}

// WriteFiles copies a project into dir, where a tool may write among its
// sources. Modes are those of the files, whatever the umask.
func WriteFiles(dir string, files []layer.File) error {
	for _, f := range files {
		at := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		var err error
		switch {
		case f.Mode.IsDir():
			err = os.MkdirAll(at, 0o755)
		case f.Mode.Type() == fs.ModeSymlink:
			err = os.Symlink(filepath.FromSlash(f.Link), at)
		default:
			err = writeFile(at, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeFile(at string, f layer.File) error {
	out, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode.Perm())
	if err != nil {
		return err
	}
	return errors.Join(CopyFile(out, f), out.Close(), os.Chmod(at, f.Mode.Perm()))
}

// CopyFile writes a file's content to w.
func CopyFile(w io.Writer, f layer.File) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}
