// Package langtest is what the tests of languages share: projects that are written
// down as files, and the files of the layers that are made of them.
package langtest

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// Write writes files below dir; their names have slashes.
func Write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Open returns the project in a folder, with the environment of the test, a cache of
// its own and a report that remembers.
func Open(t testing.TB, dir string) (*lang.Project, *progresstest.Recorder) {
	t.Helper()
	tree, err := source.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	})
	said := &progresstest.Recorder{}
	return &lang.Project{Dir: tree.Dir(), Label: "hello", Source: tree, Environ: os.Environ(), CacheDir: t.TempDir(), Report: said}, said
}

// Contents makes a layer and returns the text of its regular files. An error is that
// of the layer.
func Contents(t testing.TB, l lang.Layer) (map[string]string, error) {
	t.Helper()
	files, cleanup, err := l.Files(context.WithoutCancel(t.Context()))
	got := map[string]string{}
	for _, f := range files {
		if !f.Mode.IsRegular() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[f.Path] = string(raw)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if cleanup != nil {
		if err := cleanup(); err != nil {
			t.Error(err)
		}
	}
	return got, err
}
