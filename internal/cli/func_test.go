package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFuncCreate(t *testing.T) {
	t.Chdir(t.TempDir())
	sys, stdout, stderr := testSystem(t, "func", "create", "apps/hello", "-l", "go", "-o", "json")
	if code := Main(context.Background(), sys); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var got createdProject
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := createdProject{
		APIVersion: "kn-lite.dev/v1", Kind: "Project", Name: "hello", Language: "go", Template: "http", Path: filepath.Join("apps", "hello"),
		Files:    []string{".funcignore", ".gitignore", "README.md", "func.yaml", "go.mod", "handle.go", "handle_test.go"},
		Replaced: []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An interrupt leaves nothing behind and says what it was.
func TestFuncCreateInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sys, stdout, stderr := testSystem(t, "func", "create", "apps/hello", "-l", "go")
	if code := Main(ctx, sys); code != 130 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if left, _ := os.ReadDir("."); len(left) > 0 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("left %v, stdout %q, stderr %q", left, stdout, stderr)
	}
}

func TestServiceName(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := serviceName(""); err == nil || !strings.Contains(err.Error(), "which service?") {
		t.Errorf("nowhere: %v", err)
	}
	if name, err := serviceName("given"); err != nil || name != "given" {
		t.Errorf("given: %q, %v", name, err)
	}
	if _, err := serviceName("Not/One"); err == nil {
		t.Error("a bad name was taken")
	}
	if err := os.WriteFile("func.yaml", []byte("name: here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if name, err := serviceName(""); err != nil || name != "here" {
		t.Errorf("here: %q, %v", name, err)
	}
}

func TestProjectTellsItsWarnings(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "func.yaml"), []byte("name: a\nx-mine: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sys, _, stderr := testSystem(t)
	project, err := newFactory(sys).App().Project(dir)
	if err != nil || project.Name != "a" {
		t.Fatalf("%+v, %v", project, err)
	}
	if want := "warning: " + filepath.Join(dir, "func.yaml") + `:2:1: unknown key "x-mine"` + "\n"; stderr.String() != want {
		t.Errorf("got %q, want %q", stderr, want)
	}
}
