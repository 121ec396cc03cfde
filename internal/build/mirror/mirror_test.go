package mirror

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// listing is what is in a folder: contents of files, targets of links.
func listing(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == root {
			return err
		}
		name, _ := filepath.Rel(root, at)
		switch entry.Type() {
		case fs.ModeDir:
			out[filepath.ToSlash(name)] = "/"
		case fs.ModeSymlink:
			target, err := os.Readlink(at)
			out[filepath.ToSlash(name)] = "-> " + target
			return err
		default:
			text, err := os.ReadFile(at)
			info, _ := entry.Info()
			out[filepath.ToSlash(name)] = string(text)
			if info.Mode()&0o100 != 0 {
				out[filepath.ToSlash(name)] += " (runs)"
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func text(name, content string) layer.File { return layer.Bytes(name, 0o644, []byte(content)) }

// TestPut brings a folder up to date in each way that files can change.
func TestPut(t *testing.T) {
	m := &Mirror{Root: filepath.Join(t.TempDir(), "root")}
	put := func(want bool, name string, files ...layer.File) {
		t.Helper()
		changed, err := m.Put(t.Context(), name, "", files)
		if err != nil || changed != want {
			t.Fatalf("changed is %t, want %t, %v", changed, want, err)
		}
	}
	first := []layer.File{
		layer.Dir("app", 0o755), text("app/a", "a"), text("app/b", "b"), layer.Bytes("app/run", 0o755, []byte("x")), layer.Symlink("app/link", "a"),
		text("app/folder/deep/c", "c"), text("app/becomes", "a file"), text("app/turns/in", "to a file"),
	}
	put(true, "application", first...)
	put(false, "application", first...)
	put(true, "other", text("app/b2", "b2"), text("app/folder/d", "d"))
	// The program has written something itself.
	if err := os.WriteFile(filepath.Join(m.Root, "app", "folder", "deep", "own"), []byte("own"), 0o644); err != nil {
		t.Fatal(err)
	}
	open, err := os.Open(filepath.Join(m.Root, "app", "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	put(true, "application", text("app/a", "A"), layer.Bytes("app/b", 0o755, []byte("b")), layer.Symlink("app/link", "b"),
		text("app/becomes/a", "folder"), text("app/turns", "a file now"), text("app/same-size", "1"))
	want := map[string]string{
		"app": "/", "app/a": "A", "app/b": "b (runs)", "app/link": "-> b", "app/becomes": "/", "app/becomes/a": "folder", "app/turns": "a file now",
		"app/same-size": "1", "app/b2": "b2", "app/folder": "/", "app/folder/d": "d", "app/folder/deep": "/", "app/folder/deep/own": "own",
	}
	if diff := cmp.Diff(want, listing(t, m.Root)); diff != "" {
		t.Error(diff)
	}
	old := make([]byte, 8)
	if n, _ := open.Read(old); string(old[:n]) != "a" {
		t.Errorf("who had the file open reads %q", old[:n])
	}
	put(true, "application", text("app/same-size", "2"))
	put(true, "other")
	want = map[string]string{"app": "/", "app/same-size": "2", "app/folder": "/", "app/folder/deep": "/", "app/folder/deep/own": "own"}
	got := listing(t, m.Root)
	delete(got, "app/becomes") // an empty folder may stay
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestLink shares files that are there already.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	made := filepath.Join(dir, "made")
	if err := os.MkdirAll(filepath.Join(made, "app", "node_modules", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(made, "app", "node_modules", "x", "index.js"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("x/index.js", filepath.Join(made, "app", "node_modules", "link")); err != nil {
		t.Fatal(err)
	}
	m := &Mirror{Root: filepath.Join(dir, "root")}
	for i, want := range []bool{true, false} {
		if changed, err := m.Link(t.Context(), "dependencies", "key", made); err != nil || changed != want {
			t.Fatalf("%d: changed is %t, %v", i, changed, err)
		}
	}
	if !m.Has("dependencies", "key") || m.Has("dependencies", "another") || m.Has("application", "") {
		t.Error("it does not know what it has")
	}
	if diff := cmp.Diff(listing(t, made), listing(t, m.Root)); diff != "" {
		t.Error(diff)
	}
	one, _ := os.Stat(filepath.Join(made, "app", "node_modules", "x", "index.js"))
	other, _ := os.Stat(filepath.Join(m.Root, "app", "node_modules", "x", "index.js"))
	if !os.SameFile(one, other) {
		t.Error("the file is there twice")
	}
	// Another set takes its place.
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if changed, err := m.Link(t.Context(), "dependencies", "next", empty); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if got := listing(t, m.Root); len(got) > 0 {
		t.Errorf("left are %v", got)
	}
	if got := listing(t, made); got["app/node_modules/x/index.js"] != "x" {
		t.Errorf("what was shared is changed: %v", got)
	}
}

// TestNamesStayInside refuses names that lead out.
func TestNamesStayInside(t *testing.T) {
	m := &Mirror{Root: t.TempDir()}
	for _, name := range []string{"../x", "/etc/x", "a/../../x", ""} {
		if _, err := m.Put(t.Context(), "l", "", []layer.File{text(name, "x")}); err == nil {
			t.Errorf("%q is put", name)
		}
	}
	if got := listing(t, m.Root); len(got) > 0 {
		t.Errorf("there are %v", got)
	}
}
