package scaffold

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

func spec(dir string) Spec {
	return Spec{Dir: dir, Name: "hello", Language: "go", Created: time.Date(2026, 8, 22, 10, 30, 0, 0, time.UTC)}
}

// tree is every path below dir with its content; folders end in a slash.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			files[filepath.ToSlash(name)+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(path)
		files[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// Every template makes a valid project that both tools can read.
func TestEveryTemplate(t *testing.T) {
	for _, language := range Languages() {
		if len(language.Kinds) == 0 || language.Kinds[0] != DefaultKind {
			t.Errorf("%s: kinds %v", language.Name, language.Kinds)
		}
		for _, kind := range language.Kinds {
			dir := filepath.Join(t.TempDir(), "deep", "hello")
			s := spec(dir)
			s.Language, s.Kind = language.Name, kind
			result, err := Create(context.Background(), s)
			if err != nil {
				t.Fatal(err)
			}
			f, err := function.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			runtime := language.Name
			if runtime == "java" {
				runtime = "springboot" // knative/func's name
			}
			if f.Name != "hello" || f.Runtime != runtime || f.SpecVersion != function.SpecVersion || !f.Created.Equal(s.Created) || len(f.Warnings) > 0 {
				t.Errorf("%s: %+v", dir, f)
			}
			files := tree(t, dir)
			for _, name := range append(slices.Clone(result.Files), "func.yaml", "README.md", ".funcignore", ".gitignore") {
				content, found := files[name]
				if !found {
					t.Errorf("%s/%s: no %s", language.Name, kind, name)
				}
				if strings.Contains(content, "{{.") || strings.HasSuffix(name, ".tmpl") {
					t.Errorf("%s/%s: %s is not filled in", language.Name, kind, name)
				}
			}
			// npm puts the user's own registry in place of this one, and of no other.
			if lock := files["package-lock.json"]; strings.Count(lock, `"resolved": "`) != strings.Count(lock, `"resolved": "https://registry.npmjs.org/`) {
				t.Error("the lock file names the registry of whoever wrote it")
			}
		}
	}
}

// The settings that func.yaml shows as comments are good ones.
func TestCommentedSettingsAreValid(t *testing.T) {
	for _, language := range Languages() {
		s := spec(filepath.Join(t.TempDir(), "hello"))
		s.Language = language.Name
		if _, err := Create(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(s.Dir, function.File)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown := strings.NewReplacer("\n#", "\n", "secret:NAME:KEY", "secret:name:key").Replace(string(content))
		var kept []string
		for line := range strings.Lines(shown) {
			if !strings.HasPrefix(line, " ") || strings.HasPrefix(line, "  ") { // prose begins with one space
				kept = append(kept, line)
			}
		}
		f, err := function.Parse("", []byte(strings.Join(kept, "")))
		if err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(kept, ""))
		}
		if len(f.Warnings) > 0 || len(f.Run.Envs) < 2 || f.Deploy.Options.Scale.Max == nil || f.Deploy.Options.Resources.Limits.CPU == "" {
			t.Errorf("%+v", f)
		}
	}
}

// Go code of every kind is as gofmt has it.
func TestGoTemplatesAreFormatted(t *testing.T) {
	for _, kind := range kinds("go") {
		s := spec(filepath.Join(t.TempDir(), "hello"))
		s.Kind = kind
		if _, err := Create(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("gofmt", "-l", s.Dir).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("gofmt: %v\n%s", err, out)
		}
	}
}

// func builds a project of ours as it is: its wrapper is a module for Go 1.21,
// which cannot have a dependency for a later one.
func TestGoTemplatesSuitFunc(t *testing.T) {
	for _, kind := range kinds("go") {
		s := spec(filepath.Join(t.TempDir(), "hello"))
		s.Kind = kind
		if _, err := Create(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		module, err := os.ReadFile(filepath.Join(s.Dir, "go.mod"))
		if err != nil || !strings.Contains(string(module), "\ngo 1.21\n") {
			t.Errorf("%s: %v\n%s", kind, err, module)
		}
	}
}

// A new Go project passes its own tests with no network and no dependency.
func TestGoProjectPassesItsTests(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hello")
	if _, err := Create(context.Background(), spec(dir)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"vet", "./..."}, {"test", "./..."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "full", "mine.txt"), "mine")
	write(t, filepath.Join(dir, "file"), "mine")
	before := tree(t, dir)
	tests := []struct {
		name     string
		change   func(*Spec)
		kind     fault.Kind
		message  string
		hintPart string
	}{
		{"a full folder", func(s *Spec) { s.Dir = filepath.Join(dir, "full") }, fault.Conflict, "the folder is not empty: it has mine.txt", "{Force}"},
		{"a file in its place", func(s *Spec) { s.Dir = filepath.Join(dir, "file") }, fault.Conflict, "there is a file of that name", "another name"},
		{"a file as parent", func(s *Spec) { s.Dir = filepath.Join(dir, "file", "hello") }, fault.Failure, "not a directory", ""},
		{"a bad name", func(s *Spec) { s.Name = "Hello" }, fault.Usage, `"Hello" is not a valid name`, "for example: hello"},
		{"a mistyped language", func(s *Spec) { s.Language = "nod" }, fault.Usage, `no template for the language "nod"`, `did you mean "node"?`},
		{"an unknown language", func(s *Spec) { s.Language = "cobol" }, fault.Usage, `no template for the language "cobol"`, "languages: go, java, node, python, rust, typescript"},
		{"an absent kind", func(s *Spec) { s.Kind = "kafka" }, fault.Usage, "there is no kafka template for go", "templates for go: http, cloudevents"},
		{"a mistyped kind", func(s *Spec) { s.Kind = "htp" }, fault.Usage, "there is no htp template for go", `did you mean "http"?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := spec(filepath.Join(dir, "new", "hello"))
			tt.change(&s)
			_, err := Create(context.Background(), s)
			if err == nil || fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.message) || !strings.Contains(fault.HintOf(err), tt.hintPart) {
				t.Errorf("got %v (%v), hint %q", err, fault.KindOf(err), fault.HintOf(err))
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("the folder changed: %s", diff)
			}
		})
	}
}

func TestSpokenNamesOfLanguages(t *testing.T) {
	for spoken, want := range map[string]string{"Go": "go", "golang": "go", "springboot": "java", "nodejs": "node", "JavaScript": "node", "node": "node", "py": "python", "ts": "typescript"} {
		if got, err := Find(spoken); err != nil || got.Name != want {
			t.Errorf("%s: %v, %v", spoken, got.Name, err)
		}
	}
}

func TestForceReplacesAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	s := spec(dir)
	first, err := Create(context.Background(), s) // an empty folder is fine
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "handle.go"), "package mine")
	write(t, filepath.Join(dir, "mine.txt"), "mine")
	s.Force = true
	second, err := Create(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Result{Files: first.Files, Replaced: []string{"handle.go"}}, second); diff != "" {
		t.Error(diff)
	}
	files := tree(t, dir)
	if files["mine.txt"] != "mine" || !strings.Contains(files["handle.go"], "func New()") || len(files) != len(first.Files)+1 {
		t.Errorf("got %v", files)
	}
}

func TestANewRepositoryCountsAsEmpty(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".git", "HEAD"), "ref: refs/heads/main")
	if _, err := Create(context.Background(), spec(dir)); err != nil {
		t.Error(err)
	}
}

// Whatever stops it, the folder is as it was.
func TestFailureLeavesNothing(t *testing.T) {
	t.Run("cancelled before the first file", func(t *testing.T) {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := Create(ctx, spec(filepath.Join(dir, "a", "b", "hello")))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if left := tree(t, dir); len(left) > 0 {
			t.Errorf("left %v", left)
		}
	})
	t.Run("cancelled half-way", func(t *testing.T) {
		for checks := 1; checks < 7; checks++ {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "README.md"), "mine")
			before := tree(t, dir)
			s := spec(dir)
			s.Force = true
			if _, err := Create(&expiring{Context: context.Background(), checks: checks}, s); !errors.Is(err, context.Canceled) {
				t.Fatalf("after %d files: %v", checks, err)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("after %d files: %s", checks, diff)
			}
		}
	})
	t.Run("a folder where a file has to be", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "go.mod", "x"), "mine")
		write(t, filepath.Join(dir, ".funcignore"), "mine")
		before := tree(t, dir)
		s := spec(dir)
		s.Force = true
		if _, err := Create(context.Background(), s); err == nil || !strings.Contains(err.Error(), "go.mod: there is a folder of that name") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a link that leads out", func(t *testing.T) {
		outside, dir := t.TempDir(), t.TempDir()
		if err := os.Symlink(outside, filepath.Join(dir, "test")); err != nil {
			t.Skip(err)
		}
		s := spec(dir)
		s.Language, s.Force = "node", true
		if _, err := Create(context.Background(), s); err == nil {
			t.Error("no error")
		}
		if left := tree(t, outside); len(left) > 0 {
			t.Errorf("wrote outside: %v", left)
		}
	})
}

// expiring is cancelled after it has been looked at a number of times.
type expiring struct {
	context.Context
	checks int
}

func (e *expiring) Err() error {
	if e.checks--; e.checks < 0 {
		return context.Canceled
	}
	return nil
}

// Names of files never leave the project's folder.
func TestTemplatesHaveLocalNames(t *testing.T) {
	for _, language := range Languages() {
		for _, kind := range language.Kinds {
			s := spec("unused")
			s.Language, s.Kind = language.Name, kind
			files, err := render(s)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if !filepath.IsLocal(f.name) || strings.ToLower(f.name) != f.name && !slices.Contains([]string{"README.md", "Cargo.toml", "Cargo.lock"}, f.name) && path.Ext(f.name) != ".java" {
					t.Errorf("%s/%s: %s", language.Name, kind, f.name)
				}
			}
		}
	}
}
