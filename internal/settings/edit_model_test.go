package settings

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Any file that edits are made in says afterwards what it said, but for the one value;
// its comments are all there.
func TestEditsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := []string{"registry", "namespace", "insecureRegistries", "baseImages.node", "baseImages.go", "mirrors.docker.io", "mirrors.quay.io"}
		text, comments := drawFile(t)
		for range rapid.IntRange(1, 5).Draw(t, "edits") {
			key := rapid.SampledFrom(keys).Draw(t, "key")
			d, err := parse("f", text)
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			model := values(d)
			e := &edit{document: d, keys: d.keysOf(key)}
			if rapid.Bool().Draw(t, "set") {
				given := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b:1", "on", "1.5", "r.example/x"}), 1, 3).Draw(t, "values"), ",")
				if e.value, err = valueOf(key, given); err != nil {
					t.Fatal(err)
				}
				model[pathOf(key)] = e.value
			} else {
				if !e.has() {
					continue
				}
				delete(model, pathOf(key))
			}
			if model["baseImages::typescript"] = model["baseImages::node"]; model["baseImages::node"] == nil {
				delete(model, "baseImages::typescript")
			}
			after, err := e.text()
			if err != nil {
				if !bytes.Equal(d.source, text) {
					t.Fatal("a refused edit has changed the text")
				}
				continue // by hand
			}
			changed, err := parse("f", after)
			if err != nil {
				t.Fatalf("%v in\n%s", err, after)
			}
			if diff := cmp.Diff(model, values(changed)); diff != "" {
				t.Fatalf("%s=%v: %s\nbefore:\n%s\nafter:\n%s", key, e.value, diff, text, after)
			}
			for _, comment := range comments {
				if e.value != nil && !bytes.Contains(after, []byte(comment)) {
					t.Fatalf("%s=%v: %q is gone\nbefore:\n%s\nafter:\n%s", key, e.value, comment, text, after)
				}
			}
			text = after
		}
	})
}

func values(d *document) map[string]any {
	out := map[string]any{}
	for path, e := range d.layer().entries {
		out[path] = e.value
	}
	return out
}

// drawFile returns the text of a file and the comments in it that stand on lines of
// their own.
func drawFile(t *rapid.T) (text []byte, comments []string) {
	eol := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "eol")
	entries := rapid.Permutation([]string{
		"registry: r.example # team", "namespace: 'shop'", "insecureRegistries: [a, 'b:1']", "insecureRegistries:\n- a # lab\n- c",
		"baseImages:\n  node: n", "baseImages: {go: g, node: n}", "mirrors:\n    docker.io:\n    - m\n    # below\n    - n\n    quay.io: [q]", "mirrors:",
	}).Draw(t, "entries")
	var lines []string
	var seen []string
	for i, entry := range entries[:rapid.IntRange(0, len(entries)).Draw(t, "count")] {
		key, _, _ := strings.Cut(entry, ":")
		if slices.Contains(seen, key) {
			continue
		}
		seen = append(seen, key)
		if rapid.Bool().Draw(t, "commented") {
			comments = append(comments, fmt.Sprintf("# comment %d", i))
			lines = append(lines, comments[len(comments)-1])
		}
		if rapid.Bool().Draw(t, "apart") {
			lines = append(lines, "")
		}
		lines = append(lines, strings.Split(entry, "\n")...)
	}
	out := strings.Join(lines, eol)
	if rapid.Bool().Draw(t, "ended") && out != "" {
		out += eol
	}
	return []byte(out), comments
}
