package lang

import (
	"errors"
	"os"
	"path/filepath"

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
