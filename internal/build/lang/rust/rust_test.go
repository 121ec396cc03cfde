package rust

import (
	"os"
	"slices"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
)

// open returns the project in a folder.
func open(t *testing.T, dir string) *lang.Project {
	t.Helper()
	p, _ := langtest.Open(t, dir)
	return p
}

func TestPlan(t *testing.T) {
	dir := t.TempDir()
	if (Language{}).Detect(os.DirFS(dir)) {
		t.Error("an empty folder")
	}
	langtest.Write(t, dir, map[string]string{"Cargo.toml": "[package]\nname = \"hello\"\n", "Cargo.lock": "", "src/main.rs": ""})
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
