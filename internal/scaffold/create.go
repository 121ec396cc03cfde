package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Result is what Create has done, in paths relative to the project.
type Result struct {
	Files    []string // of the project, in order
	Replaced []string // those that were there before with other content
}

// Create makes the project, all of it or nothing: when it fails or ctx ends,
// the folder is as it was, and folders that it made are gone. A folder with
// files in it is refused, as a Conflict, unless spec.Force is set.
func Create(ctx context.Context, spec Spec) (result *Result, err error) {
	files, err := render(spec)
	if err != nil {
		return nil, err
	}
	if err := vacant(spec); err != nil {
		return nil, err
	}
	var undo undoList
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run())
		}
	}()
	made, err := makeDirs(spec.Dir)
	for _, dir := range made {
		undo.add(func() error { return os.Remove(dir) })
	}
	if err != nil {
		return nil, failed(spec.Dir, err)
	}
	// Every name is resolved below the folder: a link in it leads nowhere else.
	root, err := os.OpenRoot(spec.Dir)
	if err != nil {
		return nil, failed(spec.Dir, err)
	}
	undo.add(root.Close)
	result = &Result{}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return nil, failed(spec.Dir, err)
		}
		replaced, err := place(root, f, &undo)
		if err != nil {
			return nil, failed(filepath.Join(spec.Dir, filepath.FromSlash(f.name)), err)
		}
		result.Files = append(result.Files, f.name)
		if replaced {
			result.Replaced = append(result.Replaced, f.name)
		}
	}
	for _, name := range result.Replaced {
		if err := root.Remove(name + aside); err != nil {
			return nil, failed(spec.Dir, err)
		}
	}
	return result, root.Close()
}

// aside marks a file that is being replaced, while it may yet come back.
const aside = ".kn-lite-replaced"

// undoList takes back what has been done, last things first.
type undoList []func() error

func (u *undoList) add(step func() error) { *u = append(*u, step) }

func (u *undoList) run() error {
	var errs []error
	for _, step := range slices.Backward(*u) {
		errs = append(errs, step())
	}
	return errors.Join(errs...)
}

func failed(subject string, err error) error {
	return &fault.Error{Op: "scaffold.create", Kind: fault.Failure, Subject: subject, Err: err}
}

// vacant refuses a folder that has something in it. A new repository counts as
// empty.
func vacant(spec Spec) error {
	entries, err := os.ReadDir(spec.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		if info, e := os.Stat(spec.Dir); e == nil && !info.IsDir() {
			return fault.New(fault.Conflict, "scaffold.create", spec.Dir, "there is a file of that name").WithHint("choose another name")
		}
		return failed(spec.Dir, err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == ".git" })
	if spec.Force || len(entries) == 0 {
		return nil
	}
	var names []string
	for _, e := range entries[:min(len(entries), 3)] {
		names = append(names, e.Name())
	}
	if more := len(entries) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return fault.New(fault.Conflict, "scaffold.create", spec.Dir, "the folder is not empty: it has %s", strings.Join(names, ", ")).
		WithHint("choose another name, or use {Force} to write into it; files of the same names would be replaced")
}

// makeDirs makes dir with its parents and lists those that were not there.
func makeDirs(dir string) (made []string, err error) {
	var missing []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		if err := os.Mkdir(d, 0o755); err != nil {
			return made, err
		}
		made = append(made, d)
	}
	return made, nil
}

// place writes one file and notes how to take it back. What is there already
// with the same content is left alone.
func place(root *os.Root, f file, undo *undoList) (replaced bool, err error) {
	var dirs []string
	for dir := path.Dir(f.name); dir != "."; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	for _, dir := range slices.Backward(dirs) {
		switch err := root.Mkdir(dir, 0o755); {
		case err == nil:
			undo.add(func() error { return root.Remove(dir) })
		case !errors.Is(err, fs.ErrExist):
			return false, err
		}
	}
	info, err := root.Lstat(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, err
	case info.IsDir():
		return false, errors.New("there is a folder of that name")
	default:
		if old, err := root.ReadFile(f.name); err == nil && info.Mode().IsRegular() && bytes.Equal(old, f.content) {
			return false, nil
		}
		// The old file keeps its inode, so that it can come back as it was.
		if err := root.Rename(f.name, f.name+aside); err != nil {
			return false, err
		}
		replaced = true
		undo.add(func() error { return root.Rename(f.name+aside, f.name) })
	}
	undo.add(func() error {
		if err := root.Remove(f.name); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	return replaced, root.WriteFile(f.name, f.content, 0o644)
}
