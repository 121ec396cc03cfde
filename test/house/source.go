// Package house counts what the project promises about its own source: small
// files, one way out, nothing printed past internal/term, and a dependency
// budget. Its tests are the promise; `go test -v ./test/house` prints the numbers.
package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// File is what was counted in one Go file of the product.
type File struct {
	Path    string // slash-separated, relative to the repository
	Package string
	Lines   int
	Code    int // lines that are neither blank nor comment
	Test    bool
	Inits   []string // places as path:line
	Exits   []string
	Prints  []string
	Sleeps  []string
	Loose   []string // notes to self that were left behind
}

// Read parses every Go file of the product below root, in cmd and internal, and
// of its tests. Packages for tests are tests too: those whose name ends so, and all of
// test.
func Read(root string) ([]File, error) {
	var files []File
	for _, dir := range []string{"cmd", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(file string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return filepath.SkipDir
			case d.IsDir() || !strings.HasSuffix(file, ".go"):
				return nil
			}
			rel, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			counted, err := Count(filepath.ToSlash(rel), text)
			if err != nil {
				return err
			}
			counted.Test = counted.Test || dir == "test" || strings.HasSuffix(counted.Package, "test") || counted.Package == "fakecluster"
			files = append(files, counted)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Count parses one file.
func Count(name string, text []byte) (File, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return File{}, err
	}
	f := File{
		Path: name, Package: tree.Name.Name, Test: strings.HasSuffix(name, "_test.go"),
		Lines: strings.Count(string(text), "\n"), Code: codeLines(fset, tree, text),
	}
	at := func(p token.Pos) string { return fmt.Sprintf("%s:%d", name, fset.Position(p).Line) }
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				f.Inits = append(f.Inits, at(n.Pos()))
			}
		case *ast.SelectorExpr:
			pkg, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch call := pkg.Name + "." + n.Sel.Name; call {
			case "os.Exit":
				f.Exits = append(f.Exits, at(n.Pos()))
			case "fmt.Print", "fmt.Printf", "fmt.Println":
				f.Prints = append(f.Prints, at(n.Pos()))
			case "time.Sleep":
				f.Sleeps = append(f.Sleeps, at(n.Pos()))
			}
		}
		return true
	})
	loose := regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)
	for _, group := range tree.Comments {
		if loose.MatchString(group.Text()) {
			f.Loose = append(f.Loose, at(group.Pos()))
		}
	}
	return f, nil
}

// codeLines counts the lines on which a token starts.
func codeLines(fset *token.FileSet, tree *ast.File, text []byte) int {
	comment := map[int]bool{}
	for _, group := range tree.Comments {
		for _, c := range group.List {
			from, to := fset.Position(c.Pos()), fset.Position(c.End())
			for line := from.Line; line <= to.Line; line++ {
				comment[line] = line > from.Line || startsLine(text, from.Offset)
			}
		}
	}
	n := 0
	for i, line := range strings.Split(string(text), "\n") {
		if strings.TrimSpace(line) != "" && !comment[i+1] {
			n++
		}
	}
	return n
}

// startsLine reports whether only blanks stand before the offset in its line.
func startsLine(text []byte, offset int) bool {
	before := string(text[:offset])
	return strings.TrimSpace(before[strings.LastIndexByte(before, '\n')+1:]) == ""
}

// Packages adds up the code of each folder, without its tests.
func Packages(files []File) map[string]int {
	code := map[string]int{}
	for _, f := range files {
		if !f.Test {
			code[path.Dir(f.Path)] += f.Code
		}
	}
	return code
}

// quantile is the smallest of the values that at least the given share of them
// does not exceed.
func quantile(values []int, share float64) int {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
