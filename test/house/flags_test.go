package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// foreignFlags matches flags that are not kn-lite's own: those of other programs and of
// instructions in a Dockerfile, each up to the end of its command.
var foreignFlags = []*regexp.Regexp{
	regexp.MustCompile(`(\b(FROM|COPY|ADD|RUN|HEALTHCHECK) --[^\n]*|%s --(exclude|parents)\b)`),
	regexp.MustCompile(`\b(npm|pnpm|yarn|uv|pdm|bundle|bundle exec bootsnap|apt-get|mvn|cosign|kubectl|kn trigger|kn:)\b[^;\n]* --[a-z][^;\n]*`),
	regexp.MustCompile(`--(security-opt|hash|find-links|link|silent|chown)\b`), // of docker run, pip's files, npm's scripts, COPY
	regexp.MustCompile(`--force-conflicts`), // of kubectl apply
}

// TestLibrariesNameNoFlag holds that what is said below internal/cli is for everybody
// who calls it: a hint names an option in braces, {BaseImage}, and internal/cli/hints.go
// has the flag of each.
func TestLibrariesNameNoFlag(t *testing.T) {
	own := regexp.MustCompile("(^|[\\s(`])--[a-z][a-z-]*( |`|$)")
	option := regexp.MustCompile(`\{[A-Z][A-Za-z]+(\.[A-Z][A-Za-z]+)?\}`)
	table, err := os.ReadFile(filepath.Join(root, "internal/cli/hints.go"))
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	files := 0
	err = filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(filepath.ToSlash(path), "internal/cli/") {
			return err
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			used = append(used, option.FindAllString(text, -1)...)
			for _, foreign := range foreignFlags {
				text = foreign.ReplaceAllString(text, "")
			}
			// An argument of a program is a word alone, a message has more.
			if m := own.FindString(text); m != "" && strings.Contains(strings.TrimSpace(text), " ") {
				t.Errorf("%s: %q names the flag %s: name the option in braces, and its flag in internal/cli/hints.go", set.Position(literal.Pos()), text, strings.TrimSpace(m))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 || len(used) < 40 {
		t.Errorf("%d files with %d options were looked at", files, len(used))
	}
	slices.Sort(used)
	for _, name := range slices.Compact(used) {
		if name != strings.ToUpper(name) && !strings.Contains(string(table), `"`+strings.Trim(name, "{}")+`":`) {
			t.Errorf("%s has no flag in internal/cli/hints.go", name)
		}
	}
}
