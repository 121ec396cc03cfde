package build

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// A project without its lock is treated in one way in every language: refused in
// CI, warned of elsewhere, each time with the command that writes the lock.
func TestProjectsWithoutALock(t *testing.T) {
	tests := []struct {
		name, language string
		files          map[string]string
		lock           map[string]string // with these files it is locked
		why, command   string
	}{
		{
			"npm", "node",
			map[string]string{"package.json": `{"scripts": {"start": "node x.js"}, "dependencies": {"a": "1"}}`, "x.js": ""},
			map[string]string{"package-lock.json": `{"lockfileVersion": 3, "packages": {}}`},
			"no package-lock.json", "npm install --package-lock-only",
		},
		{
			"pnpm", "node",
			map[string]string{"package.json": `{"packageManager": "pnpm@10.1.0", "scripts": {"start": "node x.js"}, "dependencies": {"a": "1"}}`, "x.js": ""},
			nil, "no pnpm-lock.yaml", "pnpm install --lockfile-only",
		},
		{
			"TypeScript", "typescript",
			map[string]string{"package.json": `{"scripts": {"build": "tsc", "start": "node x.js"}, "devDependencies": {"typescript": "5"}}`, "tsconfig.json": "{}", "x.js": ""},
			map[string]string{"package-lock.json": `{"lockfileVersion": 3, "packages": {}}`},
			"no package-lock.json", "npm install --package-lock-only",
		},
		{
			"requirements", "python",
			map[string]string{"requirements.txt": "flask\n", "main.py": ""},
			map[string]string{"requirements.txt": "flask==3.0.0\n"},
			"requirements.txt leaves versions open", "pip freeze > requirements.txt",
		},
		{
			"pyproject", "python",
			map[string]string{"pyproject.toml": "[project]\nname = \"a\"\ndependencies = [\"flask\"]\n", "main.py": ""},
			nil, "pyproject.toml leaves versions open", "uv lock",
		},
		{
			"Poetry", "python",
			map[string]string{"pyproject.toml": "[tool.poetry.dependencies]\npython = \"^3.9\"\nflask = \"^3\"\n", "main.py": ""},
			map[string]string{"poetry.lock": "[[package]]\nname = \"flask\"\nversion = \"3\"\nfiles = [{ file = \"f.whl\", hash = \"sha256:00\" }]\n"},
			"pyproject.toml leaves versions open", "poetry lock",
		},
		{
			"cargo", "rust",
			map[string]string{"Cargo.toml": "[package]\nname = \"a\"\n", "src/main.rs": ""},
			map[string]string{"Cargo.lock": ""},
			"no Cargo.lock", "cargo generate-lockfile",
		},
		{
			"Go", "go",
			map[string]string{"go.mod": "module a\ngo 1.24\nrequire example.com/b v1.0.0\n", "main.go": "package main\nfunc main() {}\n"},
			map[string]string{"go.sum": ""},
			"no go.sum", "go mod tidy",
		},
		{"Go with a neighbour", "go", map[string]string{"go.mod": "module a\ngo 1.24\nrequire example.com/b v1.0.0\nreplace example.com/b => ./b\n", "main.go": "package main\nfunc main() {}\n"}, nil, "", ""},
		{"without dependencies", "node", map[string]string{"package.json": `{"scripts": {"start": "node x.js"}}`, "x.js": ""}, nil, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prepare := func(files map[string]string, accept bool, environ ...string) ([]string, error) {
				dir, said := t.TempDir(), &progresstest.Recorder{}
				for name, text := range files {
					at := filepath.Join(dir, name)
					if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				p, err := Prepare(t.Context(), Spec{Dir: dir, Language: tt.language, CacheDir: t.TempDir(), Environ: environ, AnyLock: accept, Progress: said})
				if err != nil {
					return said.Texts(progresstest.Warn), err
				}
				return said.Texts(progresstest.Warn), p.Close()
			}
			warned := func(warnings []string) bool {
				return len(warnings) == 1 && strings.Contains(warnings[0], tt.why) && strings.Contains(warnings[0], tt.command)
			}
			for _, environ := range [][]string{nil, {"CI=false"}, {"CI="}} {
				warnings, err := prepare(tt.files, false, environ...)
				if err != nil || warned(warnings) != (tt.why != "") {
					t.Errorf("%v: %q, %v", environ, warnings, err)
				}
			}
			_, err := prepare(tt.files, false, "CI=true")
			if refused := fault.KindOf(err) == fault.Usage && strings.Contains(err.Error(), tt.why) && strings.Contains(fault.HintOf(err), tt.command); refused != (tt.why != "") {
				t.Errorf("in CI: %v, hint %q", err, fault.HintOf(err))
			}
			if warnings, err := prepare(tt.files, true, "CI=true"); err != nil || warned(warnings) != (tt.why != "") {
				t.Errorf("accepted in CI: %q, %v", warnings, err)
			}
			if tt.lock == nil {
				return
			}
			locked := maps.Clone(tt.files)
			maps.Copy(locked, tt.lock)
			if warnings, err := prepare(locked, false, "CI=true"); err != nil || len(warnings) > 0 {
				t.Errorf("with its lock: %q, %v", warnings, err)
			}
		})
	}
}
