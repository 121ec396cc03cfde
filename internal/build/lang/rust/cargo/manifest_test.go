package cargo

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// open returns the project in a folder.
func open(t *testing.T, dir string) *lang.Project {
	t.Helper()
	p, _ := langtest.Open(t, dir)
	return p
}

const hello = "[package]\nname = \"hello\"\n"

func TestInspect(t *testing.T) {
	tests := []struct {
		name    string
		files   map[string]string
		program string // what the image is for
		wrong   string // or why there is none
		hint    string
	}{
		{"a program", map[string]string{"Cargo.toml": hello, "src/main.rs": ""}, "hello", "", ""},
		{"one by another name", map[string]string{"Cargo.toml": hello + "[[bin]]\nname = \"server\"\npath = \"src/main.rs\"\n", "src/main.rs": ""}, "server", "", ""},
		{"one of src/bin", map[string]string{"Cargo.toml": hello, "src/lib.rs": "", "src/bin/serve.rs": ""}, "serve", "", ""},
		{"a folder of src/bin", map[string]string{"Cargo.toml": hello, "src/bin/serve/main.rs": ""}, "serve", "", ""},
		{"the package's own beside others", map[string]string{"Cargo.toml": hello, "src/main.rs": "", "src/bin/tool.rs": ""}, "hello", "", ""},
		{"default-run", map[string]string{"Cargo.toml": hello + "default-run = \"b\"\n", "src/bin/a.rs": "", "src/bin/b.rs": ""}, "b", "", ""},
		{"several", map[string]string{"Cargo.toml": hello, "src/bin/a.rs": "", "src/bin/b.rs": ""}, "", "hello: the package hello has several programs: a, b", `default-run = "a"`},
		{"autobins off", map[string]string{"Cargo.toml": hello + "autobins = false\n[[bin]]\nname = \"a\"\n", "src/main.rs": "", "src/bin/a.rs": ""}, "a", "", ""},
		{"a library", map[string]string{"Cargo.toml": hello, "src/lib.rs": ""}, "", "hello: the package hello has no program: it is a library", "src/main.rs"},
		{"a workspace", map[string]string{"Cargo.toml": "[workspace]\nmembers = [\"*\"]\nexclude = [\"old\"]\n", "serve/Cargo.toml": hello, "serve/src/main.rs": "", "lib/Cargo.toml": "[package]\nname = \"lib\"\n", "lib/src/lib.rs": "", "old/Cargo.toml": hello, "old/src/main.rs": ""}, "hello", "", ""},
		{"a workspace of several", map[string]string{"Cargo.toml": "[workspace]\nmembers = [\"a\", \"b\"]\n", "a/Cargo.toml": "[package]\nname = \"a\"\n", "a/src/main.rs": "", "b/Cargo.toml": "[package]\nname = \"b\"\n", "b/src/main.rs": ""}, "", "the workspace has several programs: a, b", "kn-lite build hello/a"},
		{"a workspace of none", map[string]string{"Cargo.toml": "[workspace]\nmembers = []\n"}, "", "the workspace has no program", "src/main.rs"},
		{"a mistake", map[string]string{"Cargo.toml": "[package]\nname =\n"}, "", "Cargo.toml:2:", ""},
		{"no manifest", map[string]string{"src/main.rs": ""}, "", "there is no Cargo.toml in this folder", "cargo init"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			langtest.Write(t, dir, tt.files)
			langtest.Write(t, dir, map[string]string{LockFile: ""})
			found, err := Inspect(open(t, dir))
			if tt.wrong != "" {
				if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.wrong) || !strings.Contains(fault.HintOf(err), tt.hint) {
					t.Errorf("%v (%v), hint %q", err, fault.KindOf(err), fault.HintOf(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if found.Program != tt.program {
				t.Errorf("%+v", found)
			}
		})
	}
}

func TestInspectWithoutALockFile(t *testing.T) {
	dir := t.TempDir()
	langtest.Write(t, dir, map[string]string{"Cargo.toml": hello, "src/main.rs": ""})
	found, err := Inspect(open(t, dir))
	if err != nil || !found.Unlocked {
		t.Errorf("%+v, %v", found, err)
	}
}

// A member's lock file, profile and neighbours are those of its workspace.
func TestWorkspaceRoot(t *testing.T) {
	top := t.TempDir()
	langtest.Write(t, top, map[string]string{
		"Cargo.toml": "[workspace]\nmembers = [\"a\"]\nexclude = [\"alone\"]\n[profile.release]\nstrip = false\n", "Cargo.lock": "",
		"a/Cargo.toml": hello, "a/src/main.rs": "",
		"alone/Cargo.toml": hello, "alone/src/main.rs": "", "alone/Cargo.lock": "",
		"beside/Cargo.toml": hello + "workspace = \"../a\"\n", "beside/src/main.rs": "", "a/Cargo.lock": "",
	})
	for dir, want := range map[string]struct {
		root   string
		strips bool
	}{"a": {".", true}, "alone": {"alone", false}, "beside": {"a", false}} {
		p := open(t, filepath.Join(top, dir))
		found, err := Inspect(p)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(filepath.Dir(p.Dir), found.Root)
		if err != nil || rel != want.root || found.Strips != want.strips {
			t.Errorf("%s: %s, %v, %v", dir, rel, found.Strips, err)
		}
	}
}
