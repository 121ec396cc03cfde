package kubelet

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// dataLink is the link to the folder that has a volume's files now, under the name that
// a cluster's kubelet gives it: programs watch it to learn of changes.
const dataLink = "..data"

// publish gives a volume new files, all of them in one step: what is seen in the volume
// are links into a folder, and another folder takes its place. own is called when the
// files are there and not seen yet.
func (f content) publish(dir string, group int64, own func() error) (err error) {
	next, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(next))
		}
	}()
	// Containers cannot write here, whatever the mode says; this user has to be able to
	// remove what it has given away.
	if err := os.Chmod(next, 0o777); err != nil { //nolint:gosec // see above
		return err
	}
	if err := f.write(next, group); err != nil {
		return err
	}
	if err := own(); err != nil {
		return err
	}
	data := filepath.Join(dir, dataLink)
	before, err := os.Readlink(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp := filepath.Join(dir, "..data_tmp")
	_ = os.Remove(temp) // of an attempt that failed
	if err := os.Symlink(filepath.Base(next), temp); err != nil {
		return err
	}
	if err := os.Rename(temp, data); err != nil {
		return err
	}
	if err := f.link(dir); err != nil || before == "" {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, before))
}

// link makes the links that are missing, and removes those to nothing.
func (f content) link(dir string) error {
	names := map[string]bool{}
	for path := range f {
		top, _, _ := strings.Cut(path, "/")
		names[top] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case names[e.Name()]:
			delete(names, e.Name())
		case !strings.HasPrefix(e.Name(), ".."):
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// same reports whether both are the same files.
func (f content) same(other content) bool {
	return maps.EqualFunc(f, other, func(a, b file) bool { return a.mode == b.mode && string(a.data) == string(b.data) })
}
