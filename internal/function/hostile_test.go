package function

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestAliasesAndMerges(t *testing.T) {
	f := parse(t, dedent(`
			x-limits: &limits {cpu: 1, memory: 64Mi}
			x-more: &more {memory: 128Mi, concurrency: 3}
			name: &name hello
			image: *name
			deploy:
			  options:
			    resources:
			      limits:
			        <<: [*more, *limits]
			        concurrency: 7
			`))
	if diff := cmp.Diff(ResourceLimits{CPU: "1", Memory: "128Mi", Concurrency: ptr[int64](7)}, f.Deploy.Options.Resources.Limits); diff != "" {
		t.Error(diff)
	}
	if f.Image != "hello" {
		t.Errorf("image %q", f.Image)
	}
}

// Hostile files end in an error, quickly.
func TestHostileFilesEndQuickly(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("name: a\nx0: &x0 {k0: v, k1: v, k2: v, k3: v, k4: v, k5: v, k6: v, k7: v, k8: v}\n")
	bomb.WriteString("deploy:\n  subscriptions:\n")
	for range 3_000 {
		bomb.WriteString("  - {filters: *x0}\n")
	}
	tests := []struct{ name, source string }{
		{"alias bomb", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\nname: *d\n"},
		{"alias bomb in known keys", bomb.String()},
		{"merge loop", "name: a\nrun: &r\n  <<: *r\n"},
		{"merge fan", "name: a\nrun: &r\n  <<: [*r, *r, *r, *r, *r, *r, *r, *r]\n"},
		{"10 MiB", "name: " + strings.Repeat("a", 10<<20)},
		{"long scalar", "name: " + strings.Repeat("a", maxSize-10)},
		{"deep flow", "name: a\nrun: " + strings.Repeat("[", 60_000)},
		{"deep blocks", "name:\n" + strings.Repeat("- ", 30_000)},
		{"many keys", strings.Repeat("a: b\n", 12_000)},
		{"many broken lines", strings.Repeat("name: a\n", 8_000) + "\tx"},
		{"question marks", strings.Repeat("? ", 30_000)},
		{"open quotes", strings.Repeat("- \"\n", 16_000)},
		{"braces", "name: a\nrun: " + strings.Repeat("{a: ", 9_000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The best of three: others may have the processor meanwhile.
			best, err := time.Hour, error(nil)
			for range 3 {
				started := time.Now()
				_, err = Parse("", []byte(tt.source))
				best = min(best, time.Since(started))
			}
			if best > time.Second { // 100 ms on an idle machine; the race detector is ten times slower
				t.Errorf("took %v", best)
			} else {
				t.Logf("%v: %.200v", best, err)
			}
			if fault.KindOf(err) != fault.Usage {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Every key of the schema, once each with a value of the wrong kind, with no
// value, twice, and next to a misspelt sibling.
func TestEveryKeySpoilt(t *testing.T) {
	cases := 0
	// spoil gives the file with one entry of one mapping changed by change, which
	// gets the mapping and the entry's index.
	spoil := func(t *testing.T, path string, change func(parent *yaml.Node, i int)) ([]Problem, []Problem) {
		t.Helper()
		cases++
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(full), &doc); err != nil {
			t.Fatal(err)
		}
		parent, i := entryAt(doc.Content[0], "", path)
		change(parent, i)
		source, err := yaml.Marshal(&doc)
		if err != nil {
			t.Fatal(err)
		}
		f := &Function{}
		return f.check(source), f.Warnings
	}
	hasPath := func(list []Problem, path string) bool {
		return slices.ContainsFunc(list, func(p Problem) bool { return p.Path == path && p.Line > 0 && p.Col > 0 })
	}
	for _, path := range entryPaths(t) {
		var wasScalar bool
		problems, _ := spoil(t, path, func(parent *yaml.Node, i int) {
			wasScalar = parent.Content[i+1].Kind == yaml.ScalarNode
			parent.Content[i+1] = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "x"}, {Kind: yaml.ScalarNode, Value: "y"}}}
			if !wasScalar {
				parent.Content[i+1] = &yaml.Node{Kind: yaml.ScalarNode, Value: "text"}
			}
		})
		if !hasPath(problems, path) {
			t.Errorf("%s of the wrong kind: %v", path, messages(problems))
		}
		problems, warnings := spoil(t, path, func(parent *yaml.Node, i int) {
			parent.Content[i+1] = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
		})
		if wasScalar && !hasPath(warnings, path) {
			t.Errorf("%s with no value: %v %v", path, messages(problems), messages(warnings))
		}
		problems, _ = spoil(t, path, func(parent *yaml.Node, i int) {
			parent.Content = append(parent.Content, parent.Content[i], parent.Content[i+1])
		})
		if !slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.Message, "is already in line") }) {
			t.Errorf("%s twice: %v", path, messages(problems))
		}
		var inFreeMap bool
		_, warnings = spoil(t, path, func(parent *yaml.Node, i int) {
			key := parent.Content[i].Value
			inFreeMap = slices.Contains([]string{"pack", "example.com/owner", "type"}, key)
			parent.Content = append(parent.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key + "x"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "y"})
		})
		if !inFreeMap && !slices.ContainsFunc(warnings, func(p Problem) bool { return strings.HasPrefix(p.Message, "unknown key") && p.Typo }) {
			t.Errorf("%s next to a misspelt one: %v", path, messages(warnings))
		}
	}
	if cases < 300 {
		t.Errorf("only %d cases", cases)
	}
}

// entryPaths lists the path of every entry of every mapping in full.
func entryPaths(t *testing.T) []string {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(full), &doc); err != nil {
		t.Fatal(err)
	}
	var paths []string
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		for i, child := range n.Content {
			switch {
			case n.Kind == yaml.SequenceNode:
				walk(child, path+"["+string(rune('0'+i))+"]")
			case i%2 == 1:
				at := join(path, n.Content[i-1].Value)
				paths = append(paths, at)
				walk(child, at)
			}
		}
	}
	walk(doc.Content[0], "")
	return paths
}

// entryAt is the mapping that holds path, and where its key is in there.
func entryAt(n *yaml.Node, at, path string) (*yaml.Node, int) {
	for i, child := range n.Content {
		here := at
		switch {
		case n.Kind == yaml.SequenceNode:
			here += "[" + string(rune('0'+i)) + "]"
		case i%2 == 0:
			continue
		default:
			here = join(at, n.Content[i-1].Value)
			if here == path {
				return n, i - 1
			}
		}
		if parent, found := entryAt(child, here, path); parent != nil {
			return parent, found
		}
	}
	return nil, 0
}
