package scaffold

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), "package main")
	at := time.Date(2026, 8, 22, 10, 30, 0, 0, time.FixedZone("", 3600))
	if err := Unadopted(dir); err != nil {
		t.Error(err)
	}
	if err := Adopt(dir, "Bad_Name", "go", nil, nil, at); fault.KindOf(err) != fault.Usage || len(tree(t, dir)) != 1 {
		t.Errorf("%v; %v", err, tree(t, dir))
	}
	if err := Adopt(dir, "hello", "go", nil, [][2]string{{"BP_KEEP_FILES", "static:a \"b\""}}, at); err != nil {
		t.Fatal(err)
	}
	f, err := function.Load(dir)
	if err != nil || f.Name != "hello" || f.Runtime != "go" || !f.Created.Equal(at) || len(f.Warnings) > 0 || len(tree(t, dir)) != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	if envs := f.Build.BuildEnvs; len(envs) != 1 || envs[0].Name != "BP_KEEP_FILES" || envs[0].Value.Text != `static:a "b"` {
		t.Errorf("variables of the build: %+v", envs)
	}
	before := tree(t, dir)[function.File]
	for _, err := range []error{Unadopted(dir), Adopt(dir, "other", "node", nil, nil, at)} {
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "a project already") {
			t.Errorf("%v", err)
		}
	}
	if tree(t, dir)[function.File] != before {
		t.Error("the file has changed")
	}
}

// A link that leads nowhere is something that is there, and nothing to write through.
func TestAdoptDoesNotFollowLinks(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.Symlink(outside, filepath.Join(dir, function.File)); err != nil {
		t.Skip(err)
	}
	if err := Adopt(dir, "hello", "go", nil, nil, time.Now()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("wrote through the link")
	}
}

// What a build needs besides is written with func.yaml or not at all, and never
// over a file of the user's.
func TestAdoptWithFiles(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"Dockerfile": "FROM scratch\n", ".dockerignore": ".git\n"}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Adopt(dir, "hello", "dockerfile", files, nil, time.Now()); err == nil || len(tree(t, dir)) != 1 {
		t.Errorf("over a file: %v, %v", err, tree(t, dir))
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "Dockerfile")); string(raw) != "theirs" || err != nil {
		t.Errorf("%q, %v", raw, err)
	}
	dir = t.TempDir()
	if err := Adopt(dir, "hello", "dockerfile", files, nil, time.Now()); err != nil || len(tree(t, dir)) != 3 {
		t.Errorf("%v, %v", err, tree(t, dir))
	}
}
