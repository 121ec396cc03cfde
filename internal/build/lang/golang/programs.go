package golang

import (
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// targetVariable chooses a program of the module, as it does in the builds of
// func's Go buildpack.
const targetVariable = "BP_GO_TARGETS"

// view is for whom files are looked at.
type view struct {
	tags []string
	arch string // GOARCH
}

func (v view) context() *build.Context {
	ctx := build.Default
	ctx.GOOS, ctx.CgoEnabled, ctx.BuildTags = "linux", false, v.tags
	ctx.OpenFile = func(name string) (io.ReadCloser, error) { return regular.Open(name) }
	if v.arch != "" {
		ctx.GOARCH = v.arch
	}
	return &ctx
}

// bounds of the search for programs.
const (
	maxFolders = 5000
	maxNamed   = 12
)

// programs are the folders below dir that hold a program, in any of its modules.
func programs(dir string, v view) []string {
	var out []string
	folders := 0
	ctx := v.context()
	// What cannot be read holds no program for this user.
	_ = filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil
		}
		if folders++; folders > maxFolders {
			return fs.SkipAll
		}
		name := entry.Name()
		if at != dir && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains([]string{"vendor", "testdata", "node_modules"}, name)) {
			return fs.SkipDir
		}
		if found, err := ctx.ImportDir(at, 0); err == nil && found.Name == "main" {
			if rel, err := filepath.Rel(dir, at); err == nil {
				out = append(out, filepath.ToSlash(rel))
			}
		}
		return nil
	})
	return out
}

// choose finds the folder of the package that is built: the project's own, the
// one that func.yaml names, or that of the only program below.
func choose(p *lang.Project, v view) (folder string, err error) {
	if named := strings.TrimSpace(lang.Lookup(p.Environ, targetVariable)); named != "" {
		at := path.Clean(filepath.ToSlash(named))
		if !fs.ValidPath(at) {
			return "", fault.New(fault.Usage, "build.go", targetVariable, "%q is not one folder of the project", named).WithHint("such as: ./cmd/server")
		}
		return at, nil
	}
	if entries, err := filepath.Glob(filepath.Join(p.Dir, "*.go")); err != nil || len(entries) > 0 {
		return ".", err
	}
	found := programs(p.Dir, v)
	switch {
	case len(found) == 0:
		return ".", nil
	case len(found) == 1 && exists(filepath.Join(p.Dir, "go.mod")) && !exists(filepath.Join(p.Dir, found[0], "go.mod")):
		return found[0], nil
	}
	named := strings.Join(found[:min(len(found), maxNamed)], ", ")
	if len(found) > maxNamed {
		named += ", …"
	}
	one := filepath.Join(p.Label, filepath.FromSlash(found[0]))
	if p.Label == filepath.Base(p.Dir) {
		one = filepath.FromSlash(found[0]) // the working folder
	}
	return "", fault.New(fault.Usage, "build.go", p.Label, "there is no program in this folder itself; below it are: %s", named).
		WithHint("name the one to deploy: kn-lite func adopt %s\nor set the variable %s, such as ./%s, in func.yaml's build.buildEnvs", one, targetVariable, found[0])
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// noFiles says why the files in dir do not count.
func noFiles(dir, label string, found *build.Package, v view) error {
	refuse := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Usage, "build.go", label, format, args...)
	}
	if found == nil || len(found.IgnoredGoFiles) == 0 {
		if found != nil && len(found.TestGoFiles)+len(found.XTestGoFiles) > 0 {
			return refuse("there are only tests in this folder").WithHint("name the folder of the function or of its main package: kn-lite build DIR")
		}
		return refuse("there are no Go files for linux in this folder").
			WithHint("name the folder of the function or of its main package: kn-lite build DIR")
	}
	name := found.IgnoredGoFiles[0]
	if at := slices.IndexFunc(found.IgnoredGoFiles, func(name string) bool { return usesC(filepath.Join(dir, name)) }); at >= 0 {
		return refuse("%s uses cgo (import \"C\"), and the image has no C library", found.IgnoredGoFiles[at]).
			WithHint("use a package in Go alone, or write a Dockerfile: {Builder} dockerfile")
	}
	if constraint := constraintOf(filepath.Join(dir, name)); constraint != "" {
		return refuse("%s is left out: it is for builds with %s, and this one is for linux/%s%s", name, constraint, v.context().GOARCH, withTags(v.tags)).
			WithHint("give the build its tags in func.yaml's build.buildEnvs: GOFLAGS with the value -tags=NAME\nor another {Platforms}")
	}
	return refuse("%s is left out: its name says that it is for another system than linux/%s", name, v.context().GOARCH).
		WithHint("rename it, or build for another {Platforms}")
}

func withTags(tags []string) string {
	if len(tags) == 0 {
		return " without tags"
	}
	return " with the tags " + strings.Join(tags, ", ")
}

func usesC(file string) bool {
	text, err := regular.ReadFile(file)
	if err != nil {
		return false
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
	if err != nil {
		return false
	}
	for _, i := range parsed.Imports {
		if i.Path.Value == `"C"` {
			return true
		}
	}
	return false
}

// constraintOf is a file's //go:build line, without the words that introduce it.
func constraintOf(file string) string {
	text, err := regular.ReadFile(file)
	if err != nil {
		return ""
	}
	if found := regexp.MustCompile(`(?m)^//go:build (.*)$`).FindSubmatch(text); found != nil {
		return strings.TrimSpace(string(found[1]))
	}
	return ""
}
