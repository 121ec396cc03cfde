package house

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	module    = "github.com/kn-lite/kn-lite/"
	pageOfMap = "docs/architecture.md"
)

// TestDiagram holds the diagram of docs/architecture.md to the imports: UPDATE=1 writes
// it, VERIFY=1 compares.
func TestDiagram(t *testing.T) {
	g, err := readGraph(root)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, pageOfMap)
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "```mermaid\n", "```\n"
	before, rest, found := strings.Cut(string(page), begin)
	was, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no diagram", pageOfMap)
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(before+begin+g.mermaid()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if os.Getenv("VERIFY") == "" {
		t.Skip("make verify compares the diagram")
	}
	if diff := cmp.Diff(g.mermaid(), was); diff != "" {
		t.Errorf("the diagram of %s is stale, run `make update` (-imports +page):\n%s", pageOfMap, diff)
	}
}

// graph is who imports whom. A package stands for those below it.
type graph struct {
	about   map[string]string          // package to the first words of its comment
	imports map[string]map[string]bool // without tests, and packages for tests
}

func readGraph(root string) (*graph, error) {
	g := &graph{about: map[string]string{}, imports: map[string]map[string]bool{}}
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(file string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || strings.HasSuffix(d.Name(), "test") && d.Name() != "attest"):
				return filepath.SkipDir
			case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
				return nil
			}
			rel, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			return g.read(file, filepath.ToSlash(filepath.Dir(rel)))
		})
		if err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *graph) read(file, dir string) error {
	source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	name := node(dir)
	if g.imports[name] == nil {
		g.imports[name] = map[string]bool{}
	}
	if source.Doc != nil && name == dir {
		g.about[name] = firstWords(source.Doc.Text())
	}
	for _, i := range source.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return err
		}
		if other, ours := strings.CutPrefix(path, module+"internal/"); ours && node("internal/"+other) != name {
			g.imports[name][node("internal/"+other)] = true
		}
	}
	return nil
}

// node returns the package that stands for the one in dir.
func node(dir string) string {
	parts := strings.SplitN(dir, "/", 3)
	return strings.Join(parts[:2], "/")
}

// endOfWords is where the first words of a comment are enough.
var endOfWords = regexp.MustCompile(`[,:;(]|\.(\s|$)| so that `)

// firstWords returns what a package's comment begins with, without its name, on lines
// that are short enough to be drawn.
func firstWords(comment string) string {
	text := strings.Join(strings.Fields(comment)[2:], " ")
	if at := endOfWords.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	for _, verb := range []string{"is the ", "is "} {
		text = strings.TrimPrefix(text, verb)
	}
	const most = 40
	out, width := "", 0
	for _, word := range strings.Fields(strings.ReplaceAll(text, `"`, "'")) {
		switch {
		case width == 0:
		case width+len(word) >= most:
			out, width = out+"<br/>", 0
		default:
			out += " "
		}
		out, width = out+word, width+len(word)+1
	}
	return out
}

// layers returns the packages by layer, the lowest first: each imports only what stands
// in lower ones.
func (g *graph) layers() [][]string {
	heights := map[string]int{}
	var height func(name string) int
	height = func(name string) int {
		if h, known := heights[name]; known {
			return h
		}
		heights[name] = 0 // Go permits no circle of packages; one of groups ends here
		most := 0
		for other := range g.imports[name] {
			most = max(most, height(other)+1)
		}
		heights[name] = most
		return most
	}
	var out [][]string
	for _, name := range slices.Sorted(maps.Keys(g.imports)) {
		h := height(name)
		for len(out) <= h {
			out = append(out, nil)
		}
		out[h] = append(out[h], name)
	}
	return out
}

// needed returns what name imports and does not reach by others that it imports.
func (g *graph) needed(name string) []string {
	var out []string
	for _, other := range slices.Sorted(maps.Keys(g.imports[name])) {
		indirect := false
		for between := range g.imports[name] {
			indirect = indirect || between != other && g.reaches(between, other)
		}
		if !indirect {
			out = append(out, other)
		}
	}
	return out
}

func (g *graph) reaches(from, to string) bool {
	for next := range g.imports[from] {
		if next == to || g.reaches(next, to) {
			return true
		}
	}
	return false
}

// mermaid draws the graph. Whom everybody may import, the lowest layer, gets no arrows,
// and neither does what follows from others.
func (g *graph) mermaid() string {
	var out strings.Builder
	out.WriteString("flowchart TD\n")
	layers := g.layers()
	for h, names := range slices.Backward(layers) {
		fmt.Fprintf(&out, "  subgraph layer%d[\" \"]\n", h)
		for _, name := range names {
			fmt.Fprintf(&out, "    %s[\"%s<br/>%s\"]\n", id(name), name, g.about[name])
		}
		out.WriteString("  end\n")
	}
	for _, names := range slices.Backward(layers) {
		for _, name := range names {
			var to []string
			for _, other := range g.needed(name) {
				if !slices.Contains(layers[0], other) {
					to = append(to, id(other))
				}
			}
			if len(to) > 0 {
				fmt.Fprintf(&out, "  %s --> %s\n", id(name), strings.Join(to, " & "))
			}
		}
	}
	return out.String()
}

// id is the name of a package in the diagram.
func id(name string) string { return strings.ReplaceAll(filepath.Base(name), "-", "") }

// The drawing is what the imports are, and each arrow points down.
func TestGraph(t *testing.T) {
	g := &graph{
		about: map[string]string{"cmd/x": "starts", "internal/a": "does", "internal/b": "helps", "internal/c": "counts", "internal/d": "stands alone"},
		imports: map[string]map[string]bool{
			"cmd/x": {"internal/a": true}, "internal/a": {"internal/b": true, "internal/c": true, "internal/d": true}, "internal/b": {"internal/c": true},
			"internal/c": {"internal/d": true}, "internal/d": {},
		},
	}
	const want = `flowchart TD
  subgraph layer4[" "]
    x["cmd/x<br/>starts"]
  end
  subgraph layer3[" "]
    a["internal/a<br/>does"]
  end
  subgraph layer2[" "]
    b["internal/b<br/>helps"]
  end
  subgraph layer1[" "]
    c["internal/c<br/>counts"]
  end
  subgraph layer0[" "]
    d["internal/d<br/>stands alone"]
  end
  x --> a
  a --> b
  b --> c
`
	if diff := cmp.Diff(want, g.mermaid()); diff != "" {
		t.Error(diff)
	}
}

func TestFirstWords(t *testing.T) {
	for comment, want := range map[string]string{
		"Package function reads func.yaml, the file\nthat is":                "reads func.yaml",
		"Package fault is the one error type. It":                            "one error type",
		"Package x replaces files so that nobody":                            "replaces files",
		"Package y makes a container image from a folder of code with tools": "makes a container image from a folder<br/>of code with tools",
	} {
		if got := firstWords(comment); got != want {
			t.Errorf("%q: %q, want %q", comment, got, want)
		}
	}
}

// A group of packages that imports another in a circle cannot be drawn, and is not wanted.
func TestGroupsHaveNoCircle(t *testing.T) {
	g, err := readGraph(root)
	if err != nil {
		t.Fatal(err)
	}
	for h, names := range g.layers() {
		for _, name := range names {
			for other := range g.imports[name] {
				if !slices.ContainsFunc(g.layers()[:h], func(lower []string) bool { return slices.Contains(lower, other) }) {
					t.Errorf("%s imports %s, which does not stand below it", name, other)
				}
			}
			if g.about[name] == "" {
				t.Errorf("%s has no comment to draw", name)
			}
		}
	}
}
