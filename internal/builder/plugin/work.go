package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	runPrefix = "run-"
	// staleAfter is when the folder of a kn-lite that was killed is removed.
	staleAfter = 24 * time.Hour
)

// work is the folder of one run: the output, and a place for temporary files, which
// is also the working folder. Nothing else is to be in it.
type work struct {
	dir, output, temp, cache string
	root                     *os.Root // of output, once it is read
}

// openWork makes the folder of a run of the plugin name below cacheDir.
func openWork(cacheDir, name string, now time.Time) (*work, error) {
	parent := filepath.Join(cacheDir, "plugins", name)
	cache := filepath.Join(parent, "cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	removeStale(parent, now)
	dir, err := os.MkdirTemp(parent, runPrefix+"*")
	if err != nil {
		return nil, err
	}
	w := &work{dir: dir, output: filepath.Join(dir, "output"), temp: filepath.Join(dir, "temp"), cache: cache}
	return w, errors.Join(os.Mkdir(w.output, 0o755), os.Mkdir(w.temp, 0o755))
}

func removeStale(parent string, now time.Time) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), runPrefix) && now.Sub(info.ModTime()) > staleAfter {
			_ = removeAll(filepath.Join(parent, e.Name()))
		}
	}
}

// openOutput returns the output as a folder out of which no link leads, until close.
func (w *work) openOutput() (root *os.Root, err error) {
	w.root, err = os.OpenRoot(w.output)
	return w.root, err
}

// close removes everything.
func (w *work) close() error {
	var err error
	if w.root != nil {
		err = w.root.Close()
	}
	return errors.Join(err, removeAll(w.dir))
}

// endTemp removes the temporary files.
func (w *work) endTemp() error { return removeAll(w.temp) }

// removeAll removes dir, folders that their maker has closed to himself among it, as
// Go's module cache is.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// size returns how many bytes there are in the folder.
func (w *work) size() int64 {
	var total int64
	_ = filepath.WalkDir(w.dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

// strays returns what is in the folder and in none of its parts.
func (w *work) strays() []string {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if !slices.Contains([]string{filepath.Base(w.output), filepath.Base(w.temp)}, e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out
}

// snapshot is what a folder with sources looks like: name → size, time and mode of each
// file, and no more, so that it is quick.
type snapshot map[string]string

// snapshotOf looks at the files of dir, but for what kn-lite and git keep in it.
func snapshotOf(dir string) (snapshot, error) {
	out := snapshot{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if e.IsDir() {
			if rel == ".git" || rel == ".kn-lite" || rel == ".func" {
				return fs.SkipDir
			}
			out[rel] = "folder"
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		out[rel] = fmt.Sprintf("%d %d %s", info.Size(), info.ModTime().UnixNano(), info.Mode())
		return nil
	})
	return out, err
}

// changed returns the first file, by its name, that is not in after what it is in p.
func (p snapshot) changed(after snapshot) (name, how string) {
	var all []string
	for name := range p {
		all = append(all, name)
	}
	for name := range after {
		if _, ok := p[name]; !ok {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	for _, name := range all {
		was, before := p[name]
		is, there := after[name]
		switch {
		case !before:
			return name, "written"
		case !there:
			return name, "removed"
		case was != is:
			return name, "changed"
		}
	}
	return "", ""
}
