package rust

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/progress"
)

func write(t *testing.T, dir string, files map[string]string) {
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

// open is the project in a folder.
func open(t *testing.T, dir string) *lang.Project {
	t.Helper()
	tree, err := source.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return &lang.Project{Dir: tree.Dir(), Label: "hello", Source: tree, Environ: os.Environ(), CacheDir: t.TempDir(), Report: progress.Nop()}
}

func TestPlan(t *testing.T) {
	dir := t.TempDir()
	if (Language{}).Detect(os.DirFS(dir)) {
		t.Error("an empty folder")
	}
	write(t, dir, map[string]string{"Cargo.toml": "[package]\nname = \"hello\"\n", "Cargo.lock": "", "src/main.rs": ""})
	if !(Language{}).Detect(os.DirFS(dir)) {
		t.Error("a folder with a Cargo.toml")
	}
	plan, err := Language{}.Plan(t.Context(), open(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if plan.Style != "program hello" || !plan.Base.BuiltIn || !slices.Equal(plan.Entrypoint, []string{"/app/function"}) {
		t.Errorf("%+v", plan)
	}
}
