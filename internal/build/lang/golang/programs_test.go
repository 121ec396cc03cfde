package golang

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// open is a project in dir; the variables stand over those of this machine.
func open(t *testing.T, dir string, variables ...string) *lang.Project {
	t.Helper()
	tree, err := source.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	return &lang.Project{
		Dir: dir, Label: filepath.Base(dir), Source: tree, Environ: lang.With(os.Environ(), variables...), CacheDir: t.TempDir(), Report: progress.Nop(),
		Platforms: []v1.Platform{{OS: "linux", Architecture: runtime.GOARCH}},
	}
}

// said is what the program that is built for this machine writes, beside the
// paths of the other files of its image.
func said(t *testing.T, p *lang.Project) (text string, beside []string) {
	t.Helper()
	plan, err := Language{}.Plan(context.Background(), p)
	if err != nil {
		t.Fatalf("%v\n%s", err, fault.HintOf(err))
	}
	layers, err := Language{}.Layers(context.Background(), p, plan, lang.Target{Platform: p.Platforms[0]})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		files, cleanup, err := l.Files(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Path == binary {
				text = runProgram(t, f)
			} else if f.Mode.IsRegular() {
				beside = append(beside, f.Path)
			}
		}
		if cleanup != nil {
			if err := cleanup(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return text, beside
}

func runProgram(t *testing.T, f layer.File) string {
	t.Helper()
	in, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(at, content, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(at).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func needLinux(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil || runtime.GOOS != "linux" {
		t.Skip("needs the go command on Linux")
	}
}

// Flags of the user's are there beside ours, wherever they are set, and tags
// decide which files are looked at.
func TestFlagsOfTheUser(t *testing.T) {
	needLinux(t)
	dir := folder(t, map[string]string{
		"go.mod":  "module example.com/app\n\ngo 1.21\n",
		"main.go": "//go:build prod\n\npackage main\n\nvar version = \"none\"\n\nfunc main() { print(version, \" \", stage) }\n",
		"prod.go": "//go:build prod\n\npackage main\n\nconst stage = \"prod\"\n",
		"dev.go":  "//go:build !prod\n\npackage app\n",
	})
	flags := `-tags=prod "-ldflags=-X main.version=1.2.3"`
	if got, _ := said(t, open(t, dir, "GOFLAGS="+flags)); got != "1.2.3 prod" {
		t.Errorf("from the environment: %q", got)
	}
	written := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(written, []byte("GOFLAGS="+flags+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, _ := said(t, open(t, dir, "GOFLAGS=", "GOENV="+written)); got != "1.2.3 prod" {
		t.Errorf("from go env -w: %q", got)
	}
}

func TestProgramsOfAModule(t *testing.T) {
	needLinux(t)
	one := map[string]string{
		"go.mod":             "module example.com/app\n\ngo 1.21\n",
		"cmd/server/main.go": "package main\n\nimport \"example.com/app/word\"\n\nfunc main() { print(word.Word, \"templates/a.html\") }\n",
		"word/word.go":       "package word\n\nconst Word = \"server \"\n",
		"templates/a.html":   "a", "templates/.env": "canary", "static/x.css": "x", "other.txt": "o",
	}
	dir := folder(t, one)
	// The only program of a module is what is meant by its folder.
	if got, beside := said(t, open(t, dir)); !strings.HasPrefix(got, "server") || len(beside) > 0 {
		t.Errorf("%q %v", got, beside)
	}
	plan, err := Language{}.Plan(context.Background(), open(t, dir))
	if err != nil || plan.Style != "program cmd/server" || len(plan.Reads) != 1 || !strings.Contains(lang.KeepAdvice(plan.Reads), "the code names templates,") {
		t.Errorf("%+v, %v", plan, err)
	}
	if got, _ := said(t, open(t, filepath.Join(dir, "cmd/server"))); !strings.HasPrefix(got, "server") {
		t.Errorf("its own folder: %q", got)
	}
	for _, at := range []string{dir, filepath.Join(dir, "cmd/server")} {
		if _, beside := said(t, open(t, at, lang.KeepVariable+"=templates:static/*.css")); strings.Join(beside, " ") != "app/static/x.css app/templates/a.html" {
			t.Errorf("kept in %s: %v", at, beside)
		}
	}
	p := open(t, dir, lang.KeepVariable+"=nothing/*")
	if _, err := lang.KeptFiles(context.Background(), p, p.Source, "app"); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "nothing/*") {
		t.Errorf("a pattern for nothing: %v", err)
	}

	one["cmd/worker/main.go"] = "package main\n\nfunc main() { print(\"worker\") }\n"
	one["tools/go.mod"], one["tools/gen/main.go"] = "module example.com/tools\n", "package main\n\nfunc main() {}\n"
	dir = folder(t, one)
	_, err = Language{}.Plan(context.Background(), open(t, dir))
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "cmd/server, cmd/worker, tools/gen") || !strings.Contains(fault.HintOf(err), "func adopt cmd/server\n") {
		t.Errorf("%v\n%s", err, fault.HintOf(err))
	}
	if got, _ := said(t, open(t, dir, targetVariable+"=./cmd/worker")); got != "worker" {
		t.Errorf("the chosen one: %q", got)
	}

	// Two modules without one at the top, with and without a workspace.
	for _, files := range []map[string]string{{}, {"go.work": "go 1.21\n\nuse ./a\nuse ./b\n"}} {
		files["a/go.mod"], files["a/main.go"] = "module a\n", "package main\n\nfunc main() {}\n"
		files["b/go.mod"], files["b/main.go"] = "module b\n", "package main\n\nfunc main() {}\n"
		if _, err := (Language{}).Plan(context.Background(), open(t, folder(t, files))); err == nil || !strings.Contains(err.Error(), "below it are: a, b") {
			t.Errorf("%v", err)
		}
	}
}

// What is embedded is in the program, and a URL is no file.
func TestNoAdvice(t *testing.T) {
	for _, code := range []string{
		"//go:embed static\nvar files embed.FS\n\nvar x = \"static/x.css\"\n", "var x = \"/static/x.css\"\n", "// static\n",
	} {
		dir := folder(t, map[string]string{"go.mod": "module app\n", "main.go": "package main\n\nimport \"embed\"\n\n" + code, "static/x.css": "x"})
		if names := readAtRunTime(open(t, dir)); len(names) > 0 {
			t.Errorf("%s: %v", code, names)
		}
	}
}

func TestFilesThatTheCodeNames(t *testing.T) {
	dir := folder(t, map[string]string{
		"go.mod": "module app\n", "main.go": "package main\n\nfunc main() { print(\"products.json\", \"./templates/*.html\", \"func.yaml\") }\n",
		"products.json": "[]", "productsXjson.json": "[]", "other.json": "[]", "templates/a.html": "", "func.yaml": "name: app",
	})
	if got := readAtRunTime(open(t, dir)); !slices.Equal(got, []string{"templates", "products.json"}) {
		t.Errorf("read at run time: %v", got)
	}
	if got := readAtRunTime(open(t, dir, lang.KeepVariable+"=templates:products.json")); len(got) > 0 {
		t.Errorf("in the image already: %v", got)
	}
}

// Files for one processor count for that one alone.
func TestFilesOfAPlatform(t *testing.T) {
	dir := folder(t, map[string]string{"go.mod": "module app\n", "main_arm64.go": "package main\n\nfunc main() {}\n"})
	p := open(t, dir)
	p.Platforms = []v1.Platform{{OS: "linux", Architecture: "arm64"}}
	if _, err := inspectProject(p); err != nil {
		t.Error(err)
	}
	p.Platforms = append(p.Platforms, v1.Platform{OS: "linux", Architecture: "amd64"})
	if _, err := inspectProject(p); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "main_arm64.go is left out") {
		t.Errorf("%v", err)
	}
}
