package rust

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

func needCargo(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("cargo"); err != nil {
		t.Skip("there is no cargo")
	}
}

// workspace is a program, a package that it uses and a build script that makes
// code, none of which needs a registry.
func workspace(greeting string) map[string]string {
	return map[string]string{
		"Cargo.toml":       "[workspace]\nmembers = [\"app\", \"words\"]\nresolver = \"2\"\n",
		"Cargo.lock":       "version = 3\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"words\",\n]\n\n[[package]]\nname = \"words\"\nversion = \"0.1.0\"\n",
		"app/Cargo.toml":   "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\nbuild = \"build.rs\"\n[dependencies]\nwords = { path = \"../words\" }\n",
		"app/build.rs":     "fn main() {\n    let dir = std::env::var(\"OUT_DIR\").unwrap();\n    std::fs::write(format!(\"{dir}/made.rs\"), \"pub fn fail() { panic!(\\\"made\\\") }\").unwrap();\n}\n",
		"app/src/main.rs":  "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\nfn main() {\n    if std::env::args().count() > 1 {\n        fail();\n    }\n    println!(\"{}\", words::greeting(std::env::args().count()));\n}\n",
		"words/Cargo.toml": "[package]\nname = \"words\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
		"words/src/lib.rs": "pub fn greeting(n: usize) -> String {\n    let list = [\"" + greeting + "\"];\n    list[n - 1].to_string()\n}\n",
	}
}

// build compiles the project in dir and returns the program.
func build(t *testing.T, p *lang.Project) ([]byte, error) {
	t.Helper()
	plan, err := Language{}.Plan(t.Context(), p)
	if err != nil {
		return nil, err
	}
	layers, err := Language{}.Layers(t.Context(), p, plan, lang.Target{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}})
	if err != nil {
		return nil, err
	}
	files, cleanup, err := layers[0].Files(t.Context())
	if cleanup != nil {
		defer cleanup()
	}
	if err != nil {
		return nil, err
	}
	if len(files) != 1 || files[0].Path != "app/function" || files[0].Mode != 0o755 {
		t.Fatalf("%+v", files)
	}
	r, err := files[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return io.ReadAll(r)
}

func sum(raw []byte) string {
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:8])
}

// One program for one input: in whichever folder, from whichever cache, and
// whatever the files' times say.
func TestCompile(t *testing.T) {
	needCargo(t)
	here, there := filepath.Join(t.TempDir(), "p"), filepath.Join(t.TempDir(), "another pläce")
	langtest.Write(t, here, workspace("hello"))
	langtest.Write(t, there, workspace("hello"))
	p := open(t, filepath.Join(here, "app"))
	first, err := build(t, p)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, first, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program).Output(); err != nil || string(out) != "hello\n" {
		t.Errorf("%q, %v", out, err)
	}
	failed, _ := exec.Command(program, "x").CombinedOutput()
	for _, place := range []string{here, p.CacheDir, os.Getenv("HOME")} {
		if strings.Contains(string(first), place) || strings.Contains(string(failed), place) {
			t.Errorf("the program knows %s: %s", place, failed)
		}
	}
	elsewhere := open(t, filepath.Join(there, "app"))
	elsewhere.Environ = lang.With(elsewhere.Environ, "CARGO_HOME="+t.TempDir(), "CARGO_BUILD_JOBS=1")
	if second, err := build(t, elsewhere); err != nil || sum(second) != sum(first) {
		t.Errorf("another folder: %s, want %s, %v", sum(second), sum(first), err)
	}
	// Cargo does not look into what it has made before.
	made, err := filepath.Glob(filepath.Join(p.CacheDir, "rust", "target-*", "*", "release", "app"))
	if err != nil || len(made) != 1 {
		t.Fatalf("%q, %v", made, err)
	}
	if err := os.Truncate(made[0], 1000); err != nil {
		t.Fatal(err)
	}
	if again, err := build(t, p); err != nil || sum(again) != sum(first) {
		t.Errorf("after its program was cut: %s, want %s, %v", sum(again), sum(first), err)
	}
	if entries, err := os.ReadDir(here); err != nil || len(entries) != 4 {
		t.Errorf("the build left something in the project: %v, %v", entries, err)
	}

	// A change, with the time of a file that is older than the last build.
	lib := filepath.Join(here, "words", "src", "lib.rs")
	change := func(greeting string) {
		langtest.Write(t, here, map[string]string{"words/src/lib.rs": workspace(greeting)["words/src/lib.rs"]})
		old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
		if err := os.Chtimes(lib, old, old); err != nil {
			t.Fatal(err)
		}
	}
	change("changed")
	if changed, err := build(t, p); err != nil || !strings.Contains(string(changed), "changed") {
		t.Errorf("the change is not in the program: %v", err)
	}
	change("hello")
	if again, err := build(t, p); err != nil || sum(again) != sum(first) {
		t.Errorf("taken back: %s, want %s, %v", sum(again), sum(first), err)
	}
}

func TestCompileErrors(t *testing.T) {
	needCargo(t)
	tests := []struct {
		name  string
		files map[string]string
		wants []string
		hint  string
	}{
		{"a type", map[string]string{"app/src/main.rs": "fn main() -> u8 {\n    \"text\"\n}\n"}, []string{"the code does not compile", "app/src/main.rs:2:5", "mismatched types"}, ""},
		{"an old lock file", map[string]string{"words/Cargo.toml": "[package]\nname = \"words\"\nversion = \"0.2.0\"\nedition = \"2021\"\n"}, []string{"cargo cannot gather", "Cargo.lock"}, "cargo check"},
		{"a library of C", map[string]string{"app/build.rs": "fn main() {\n    let dir = std::env::var(\"OUT_DIR\").unwrap();\n    std::fs::write(format!(\"{dir}/made.rs\"), \"unsafe extern \\\"C\\\" { fn nowhere(); } fn fail() { unsafe { nowhere() } }\").unwrap();\n    println!(\"cargo:rustc-link-lib=nowhere\");\n}\n"}, []string{"nowhere"}, "no static part"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			langtest.Write(t, dir, workspace("hello"))
			langtest.Write(t, dir, tt.files)
			_, err := build(t, open(t, filepath.Join(dir, "app")))
			if fault.KindOf(err) != fault.Build || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Fatalf("%v (%v), hint %q", err, fault.KindOf(err), fault.HintOf(err))
			}
			for _, want := range tt.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nlacks %q", err, want)
				}
			}
		})
	}
}

func TestInputs(t *testing.T) {
	needCargo(t)
	inputs := func(dir string) *lang.Inputs {
		p := open(t, dir)
		plan, err := Language{}.Plan(context.Background(), p)
		if err != nil {
			t.Fatal(err)
		}
		in, err := Language{}.Inputs(context.Background(), p, plan)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	dir := t.TempDir()
	langtest.Write(t, dir, workspace("hello"))
	in := inputs(filepath.Join(dir, "app"))
	facts := map[string]string{}
	for _, f := range in.Facts {
		facts[f.Name] = f.Value
	}
	if in.Unknown != "" || len(in.Folders) != 1 || filepath.Base(in.Folders[0].Dir) != filepath.Base(dir) {
		t.Errorf("the whole workspace counts: %+v", in)
	}
	if !strings.Contains(facts["toolchain"], "rustc 1.") || facts["package"] != "app/app/app" || !strings.Contains(facts["targets"], "-linux-") {
		t.Errorf("%v", facts)
	}
	langtest.Write(t, dir, map[string]string{"app/target/CACHEDIR.TAG": "", "app/src/target/mod.rs": ""})
	for name, want := range map[string]bool{"target": true, "app/target": true, "app/src/target": false, "app/.git": true, "app/src": false} {
		if out, _ := in.Folders[0].Skip(name, true); out != want {
			t.Errorf("%s: left out is %v", name, out)
		}
	}

	// What stands outside of the workspace has its place in the program's names.
	langtest.Write(t, dir, map[string]string{
		"alone/Cargo.toml": "[package]\nname = \"hello\"\nversion = \"0.1.0\"\n[workspace]\n[target.'cfg(unix)'.dependencies]\nwords = { path = \"../words\" }\n",
		"alone/Cargo.lock": "", "alone/src/main.rs": "",
	})
	in = inputs(filepath.Join(dir, "alone"))
	if !strings.Contains(in.Unknown, "outside of the workspace, in words") || len(in.Folders) != 2 {
		t.Errorf("%+v", in)
	}
}
