package golang

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// folder writes the files of a txtar-like map.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	langtest.Write(t, dir, files)
	return dir
}

const head = "package function\nimport \"net/http\"\n"

func TestInspect(t *testing.T) {
	tests := []struct {
		name string
		text string
		want style
		kind fault.Kind
		says string // part of the error with its subject
	}{
		{"static", head + "func Handle(w http.ResponseWriter, r *http.Request) {}", static, 0, ""},
		{"renamed import", "package f\nimport web \"net/http\"\nfunc Handle(w web.ResponseWriter, r *web.Request) {}", static, 0, ""},
		{"dot import", "package f\nimport . \"net/http\"\nfunc Handle(w ResponseWriter, r *Request) {}", static, 0, ""},
		{"instanced", head + "type F struct{}\nfunc New() *F { return nil }\nfunc (f *F) Handle(w http.ResponseWriter, r *http.Request) {}", instanced, 0, ""},
		{"instanced by value", head + "type F struct{}\nfunc New() F { return F{} }\nfunc (F) Handle(http.ResponseWriter, *http.Request) {}", instanced, 0, ""},
		{"promoted method", "package f\nimport \"other\"\ntype F struct{ other.T }\nfunc New() *F { return nil }", instanced, 0, ""},
		{"program", "package main\nfunc main() {}", plain, 0, ""},
		{"two results", head + "func New() (*int, error) { return nil, nil }", 0, fault.Build, "handle.go:3:1: New takes nothing"},
		{"New with argument", head + "func New(i int) *int { return nil }", 0, fault.Build, "New takes nothing"},
		{"wrong signature", head + "func Handle(r *http.Request) {}", 0, fault.Build, "handle.go:3:1: Handle does not have the signature"},
		{"event signature", "package f\nimport \"context\"\nfunc Handle(ctx context.Context) error { return nil }", static, 0, ""},
		{"wrong method", head + "type F struct{}\nfunc New() *F { return nil }\nfunc (f *F) Handle(r *http.Request) {}", 0, fault.Build, "handle.go:5:1"},
		{"both", head + "func New() *int { return nil }\nfunc Handle(w http.ResponseWriter, r *http.Request) {}", 0, fault.Build, "both New and a static Handle"},
		{"neither", "package f\n", 0, fault.Build, "neither Handle nor New"},
		{"syntax", "package f\nfunc {", unparsed, 0, ""},
		{"syntax in the package clause", "pakcage f\n", unparsed, 0, ""},
		{"empty file", "", unparsed, 0, ""},
		{"other system only", "//go:build windows\n\npackage f\n", 0, fault.Usage, "handle.go is left out: it is for builds with windows, and this one is for linux/amd64 without tags"},
		{"a tag", "//go:build prod\n\npackage main\nfunc main() {}", 0, fault.Usage, "it is for builds with prod"},
		{"cgo", "package main\n\n// int x;\nimport \"C\"\nfunc main() {}", 0, fault.Usage, "handle.go uses cgo"},
	}
	for _, tt := range tests {
		dir := folder(t, map[string]string{"go.mod": "module function\n", "handle.go": tt.text})
		got, err := inspect(dir, "fn", view{})
		switch {
		case tt.says == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.says == "":
			if got.style != tt.want || (got.importPath != "function" && got.style != unparsed) {
				t.Errorf("%s: %+v", tt.name, got)
			}
		case fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says):
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestImportPath(t *testing.T) {
	dir := folder(t, map[string]string{
		"go.mod": "// top\nmodule example.com/repo // why\n\ngo 1.22\n", "fn/deep/f.go": "package f\n", "nested/go.mod": "module \"other\"\n", "broken/go.mod": "go 1.22\n",
	})
	for sub, want := range map[string]string{".": "example.com/repo", "fn/deep": "example.com/repo/fn/deep", "nested": "other"} {
		if got, err := importPath(filepath.Join(dir, sub), "fn"); got != want || err != nil {
			t.Errorf("%s: %q, %v", sub, got, err)
		}
	}
	if _, err := importPath(filepath.Join(dir, "broken"), "fn"); fault.KindOf(err) != fault.Build {
		t.Errorf("no module line: %v", err)
	}
	if _, err := importPath("/", "fn"); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "go mod init") {
		t.Errorf("no go.mod: %v", err)
	}
}

func TestOnlyTests(t *testing.T) {
	dir := folder(t, map[string]string{"go.mod": "module f\n", "a_test.go": "package a\n"})
	if _, err := inspect(dir, "fn", view{}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "only tests") {
		t.Errorf("err = %v", err)
	}
}

func TestTwoPackages(t *testing.T) {
	dir := folder(t, map[string]string{"go.mod": "module f\n", "a.go": "package a\n", "b.go": "package b\n"})
	if _, err := inspect(dir, "fn", view{}); fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "two packages") {
		t.Errorf("err = %v", err)
	}
}
