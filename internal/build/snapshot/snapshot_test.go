package snapshot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

type plain struct{}

func (plain) Folder(dir string) error                    { return os.MkdirAll(dir, 0o755) }
func (plain) Remove(_ context.Context, dir string) error { return os.RemoveAll(dir) }

func open(t *testing.T, dir, boot string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, boot, plain{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// save makes a layer on top of below and saves the result under id.
func save(t *testing.T, s *Store, id string, below Tree, bytes int64) Tree {
	t.Helper()
	l, err := s.New()
	if err == nil {
		l.Bytes = bytes
		err = os.WriteFile(filepath.Join(s.Top(l), "file"), []byte(id), 0o644)
	}
	tree := append(below[:len(below):len(below)], l)
	if err = errors.Join(err, s.Save(id, Saved{Tree: tree})); err != nil {
		t.Fatal(err)
	}
	return tree
}

func age(t *testing.T, s *Store, id string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by)
	if err := os.Chtimes(filepath.Join(s.known(), id), at, at); err != nil {
		t.Fatal(err)
	}
}

func folders(t *testing.T, s *Store) int {
	t.Helper()
	entries, err := os.ReadDir(s.files())
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestFindWhatWasSaved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "boot")
	base := save(t, s, "base", nil, 1)
	top := save(t, s, "top", base, 1)
	if err := errors.Join(s.Save("same", Saved{Tree: top, Empty: true}), s.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, "boot")
	for id, want := range map[string]int{"base": 1, "top": 2, "same": 2} {
		saved, ok := s.Find(id)
		if !ok || len(saved.Tree) != want || saved.Empty != (id == "same") {
			t.Errorf("%s: %+v %v", id, saved, ok)
		}
	}
	if _, ok := s.Find("other"); ok {
		t.Error("other was not saved")
	}
}

// What a killed process, a curious user and another boot have left is no file system.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	for name, damage := range map[string]func(s *Store, tree Tree) error{
		"folder gone": func(s *Store, tree Tree) error { return os.RemoveAll(s.Top(tree[0])) },
		"cut":         func(s *Store, _ Tree) error { return os.Truncate(filepath.Join(s.known(), "id"), 5) },
		"empty":       func(s *Store, _ Tree) error { return os.Truncate(filepath.Join(s.known(), "id"), 0) },
		"leads out": func(s *Store, _ Tree) error {
			return os.WriteFile(filepath.Join(s.known(), "id"), []byte(`{"tree":[{"name":".."}]}`), 0o600)
		},
	} {
		s := open(t, dir, name)
		tree := save(t, s, "id", save(t, s, "below", nil, 1), 1)
		if err := damage(s, tree); err != nil {
			t.Fatal(err)
		}
		if saved, ok := s.Find("id"); ok {
			t.Errorf("%s: %+v", name, saved)
		}
		save(t, s, "id", nil, 1)
		if _, ok := s.Find("id"); !ok {
			t.Errorf("%s: it does not heal", name)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("of other boots there are %v, %v", entries, err)
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "boot")
	save(t, s, "id", nil, 1)
	if _, err := s.New(); err != nil { // and the process is killed
		t.Fatal(err)
	}
	if s = open(t, dir, "boot"); folders(t, s) != 1 {
		t.Errorf("%d folders", folders(t, s))
	}
	save(t, s, "id", nil, 1) // the first one has no name now
	if err := s.Close(t.Context()); err != nil || folders(t, s) != 1 {
		t.Errorf("%d folders, %v", folders(t, s), err)
	}
}

func TestBound(t *testing.T) {
	s := open(t, t.TempDir(), "boot")
	s.limit = 100
	base := save(t, s, "base", nil, 60)
	save(t, s, "used", base, 10)
	save(t, s, "unused", nil, 50)
	save(t, s, "old", nil, 1)
	age(t, s, "old", 15*24*time.Hour)
	age(t, s, "base", 3*time.Hour)
	age(t, s, "unused", 2*time.Hour)
	age(t, s, "used", time.Hour)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"old": false, "unused": false, "used": true} {
		if _, ok := s.Find(id); ok != want {
			t.Errorf("%s is there: %v", id, ok)
		}
	}
	if folders(t, s) != 2 { // those of used
		t.Errorf("%d folders", folders(t, s))
	}
}
