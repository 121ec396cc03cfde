package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// folder returns the folder shop with files in it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.Rename(writeFiles(t, files), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The name is the folder's, the base that of the settings, and a second time is refused.
func TestAdopt(t *testing.T) {
	a, _ := runApp(t)
	a.Settings = func() (*settings.Settings, error) {
		env := func(name string) string {
			return map[string]string{"HOME": "/none", "KN_LITE_BASE_IMAGES_NODE": "mirror.example/node:22"}[name]
		}
		return settings.Load(settings.Sources{Env: env})
	}
	dir := folder(t, map[string]string{"package.json": `{"scripts":{"start":"node index.js"}}`, "index.js": "1"})
	got, err := a.Adopt(t.Context(), AdoptRequest{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "shop" || got.Language != "node" || len(got.Written) != 0 || got.File != filepath.Join(dir, "func.yaml") {
		t.Errorf("%+v, %+v", got, got.Recognised)
	}
	if raw, err := os.ReadFile(got.File); err != nil || !strings.Contains(string(raw), "name: shop\n") || !strings.Contains(string(raw), "runtime: node\n") {
		t.Errorf("%s, %v", raw, err)
	}
	if _, err := a.Adopt(t.Context(), AdoptRequest{Dir: dir}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a second time: %v", err)
	}
}

// What a build needs besides is written, and named.
func TestAdoptWritesFiles(t *testing.T) {
	a, _ := runApp(t)
	dir := folder(t, map[string]string{
		"Gemfile": "source \"https://rubygems.org\"\ngem \"rack\"\ngem \"puma\"\n", "Gemfile.lock": "GEM\n  specs:\n    puma (6.4.2)\n    rack (3.0.9)\n\nDEPENDENCIES\n  puma\n  rack\n", "config.ru": "run ->(_) { [200, {}, []] }\n",
		".ruby-version": "3.3.0\n",
	})
	got, err := a.Adopt(t.Context(), AdoptRequest{Dir: dir, Name: "store"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "store" || !slices.Contains(got.Written, "Dockerfile") {
		t.Errorf("%+v", got)
	}
	for _, file := range got.Written {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
}

// A refusal leaves the folder as it was.
func TestAdoptRefused(t *testing.T) {
	a, _ := runApp(t)
	node := map[string]string{"package.json": `{"scripts":{"start":"node index.js"}}`, "index.js": "1"}
	for name, tt := range map[string]struct {
		files   map[string]string
		request AdoptRequest
	}{
		"nothing there": {map[string]string{"README": "x"}, AdoptRequest{}},
		"a bad name":    {node, AdoptRequest{Name: "Not/One"}},
		"no language":   {node, AdoptRequest{Language: "cobol"}},
	} {
		tt.request.Dir = folder(t, tt.files)
		if got, err := a.Adopt(t.Context(), tt.request); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
		if left, err := os.ReadDir(tt.request.Dir); err != nil || len(left) != len(tt.files) {
			t.Errorf("%s: %v, %v", name, left, err)
		}
	}
}

func TestProjectName(t *testing.T) {
	dir := folder(t, map[string]string{"a": ""})
	t.Chdir(dir)
	for path, want := range map[string]string{".": "shop", "apps/hello": "hello", "./a/..": "shop", "sub/": "sub"} {
		if got, err := ProjectName(path); err != nil || got != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for _, path := range []string{"/", "Upper", "a b"} {
		if got, err := ProjectName(path); err == nil {
			t.Errorf("%s is taken as %q", path, got)
		}
	}
}
