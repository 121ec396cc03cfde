// Package snapshot keeps file systems that were unpacked or built, as folders on
// top of each other, so that the next stage or build begins where an earlier one
// was. What is in the folders belongs to users of a sandbox; this package knows
// their names only.
//
//	DIR/BOOT/files/NAME/{top,kernel}   what one layer or step has changed
//	DIR/BOOT/known/ID                  which folders make up the file system ID
//
// A store belongs to one process at a time, and to one boot of the machine: a
// folder that was not on the disk yet when the power went is not found again.
package snapshot

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/regular"
)

const (
	unusedFor = 14 * 24 * time.Hour
	maxBytes  = 10 << 30
)

// Folders makes and removes folders of a sandbox.
type Folders interface {
	Folder(dir string) error
	Remove(ctx context.Context, dir string) error
}

// Store is the snapshots of a sandbox.
type Store struct {
	dir     string
	folders Folders
	now     func() time.Time
	limit   int64
}

// Layer is a folder with what one layer or step has changed.
type Layer struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// Tree is a file system: layers, the lowest first.
type Tree []Layer

// Saved is a file system with a name.
type Saved struct {
	Tree  Tree `json:"tree"`
	Empty bool `json:"empty,omitempty"` // what was done last has changed nothing: it is no layer of Tree
}

// Open opens the store below dir for this boot of the machine, and removes what
// killed processes and earlier boots have left. A nil now keeps all.
func Open(ctx context.Context, dir, boot string, folders Folders, now func() time.Time) (*Store, error) {
	s := &Store{dir: filepath.Join(dir, boot), folders: folders, now: now, limit: maxBytes}
	if err := errors.Join(os.MkdirAll(s.known(), 0o700), os.MkdirAll(s.files(), 0o700)); err != nil {
		return nil, err
	}
	others, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range others {
		if e.Name() != boot {
			earlier := &Store{dir: filepath.Join(dir, e.Name()), folders: folders}
			if earlier.sweep(ctx, map[string]bool{}) == nil {
				_ = os.RemoveAll(earlier.dir)
			}
		}
	}
	return s, s.sweep(ctx, s.used())
}

func (s *Store) known() string { return filepath.Join(s.dir, "known") }
func (s *Store) files() string { return filepath.Join(s.dir, "files") }

// Top is the folder of a layer, and Kernel an empty one beside it.
func (s *Store) Top(l Layer) string { return filepath.Join(s.files(), l.Name, "top") }

// Kernel is a folder that an overlay needs while something is written to Top.
func (s *Store) Kernel(l Layer) string { return filepath.Join(s.files(), l.Name, "kernel") }

// Find returns the file system that was saved under id.
func (s *Store) Find(id string) (Saved, bool) {
	file := filepath.Join(s.known(), id)
	saved, ok := read(file)
	for _, l := range saved.Tree {
		if info, err := os.Lstat(s.Top(l)); err != nil || !info.IsDir() {
			return Saved{}, false
		}
	}
	if ok && s.now != nil {
		_ = os.Chtimes(file, s.now(), s.now())
	}
	return saved, ok
}

func read(file string) (saved Saved, ok bool) {
	raw, err := regular.ReadFile(file)
	if err != nil || json.Unmarshal(raw, &saved) != nil {
		return Saved{}, false
	}
	for _, l := range saved.Tree {
		if l.Name == "" || l.Name != filepath.Base(l.Name) || strings.HasPrefix(l.Name, ".") {
			return Saved{}, false
		}
	}
	return saved, true
}

// New makes an empty layer.
func (s *Store) New() (Layer, error) {
	l := Layer{Name: rand.Text()}
	err := s.folders.Folder(filepath.Join(s.files(), l.Name))
	if err == nil {
		err = errors.Join(s.folders.Folder(s.Top(l)), s.folders.Folder(s.Kernel(l)))
	}
	return l, err
}

// Save makes Find(id) return saved from now on.
func (s *Store) Save(id string, saved Saved) error {
	raw, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(s.known(), id), raw, atomicfile.Options{Disposable: true, TempPrefix: "."})
}

// Close removes layers that were not saved, and those that nobody has used for
// long or that are too much.
func (s *Store) Close(ctx context.Context) error {
	s.forget()
	return s.sweep(ctx, s.used())
}

// forget drops names: of what is old, and of what was used least recently while
// there is too much.
func (s *Store) forget() {
	if s.now == nil {
		return
	}
	type named struct {
		file string
		at   time.Time
		tree Tree
	}
	var all []named
	times, bytes := map[string]int{}, int64(0)
	for _, e := range s.entries() {
		n := named{file: filepath.Join(s.known(), e.Name()), at: e.ModTime()}
		saved, _ := read(n.file)
		n.tree = saved.Tree
		all = append(all, n)
		for _, l := range n.tree {
			if times[l.Name]++; times[l.Name] == 1 {
				bytes += l.Bytes
			}
		}
	}
	slices.SortFunc(all, func(a, b named) int { return a.at.Compare(b.at) })
	for _, n := range all {
		if bytes <= s.limit && s.now().Sub(n.at) <= unusedFor {
			return
		}
		if os.Remove(n.file) != nil {
			continue
		}
		for _, l := range n.tree {
			if times[l.Name]--; times[l.Name] == 0 {
				bytes -= l.Bytes
			}
		}
	}
}

func (s *Store) entries() []fs.FileInfo {
	entries, err := os.ReadDir(s.known())
	if err != nil {
		return nil
	}
	var out []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			out = append(out, info)
		}
	}
	return out
}

// used are the folders that some file system is made of.
func (s *Store) used() map[string]bool {
	used := map[string]bool{}
	for _, e := range s.entries() {
		file := filepath.Join(s.known(), e.Name())
		saved, ok := read(file)
		if !ok || strings.HasPrefix(e.Name(), ".") {
			_ = os.Remove(file)
			continue
		}
		for _, l := range saved.Tree {
			used[l.Name] = true
		}
	}
	return used
}

// sweep removes the folders that are not in used.
func (s *Store) sweep(ctx context.Context, used map[string]bool) error {
	entries, err := os.ReadDir(s.files())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !used[e.Name()] {
			errs = append(errs, s.folders.Remove(ctx, filepath.Join(s.files(), e.Name())))
		}
	}
	return errors.Join(errs...)
}

// Keep forgets the file systems that have a layer which none of ids has, and removes
// such layers. Nothing may be made meanwhile.
func (s *Store) Keep(ctx context.Context, ids map[string]bool) error {
	wanted := map[string]bool{}
	for id := range ids {
		saved, _ := read(filepath.Join(s.known(), id))
		for _, l := range saved.Tree {
			wanted[l.Name] = true
		}
	}
	for _, e := range s.entries() {
		file := filepath.Join(s.known(), e.Name())
		saved, _ := read(file)
		if slices.ContainsFunc(saved.Tree, func(l Layer) bool { return !wanted[l.Name] }) {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	return s.sweep(ctx, s.used())
}
