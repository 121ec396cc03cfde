package secret

import (
	"path"
	"strings"
	"testing"
)

// Patterns with one * are compared without path.Match, to the same result.
func TestGlobsAreThoseOfPathMatch(t *testing.T) {
	simple := 0
	for _, g := range NewNames().globs {
		if strings.Contains(g.pattern, "/") {
			continue
		}
		if g.simple {
			simple++
		}
		plain := strings.ReplaceAll(g.pattern, "*", "")
		for _, name := range []string{plain, "x" + plain, plain + "x", strings.ReplaceAll(g.pattern, "*", "x"), strings.ReplaceAll(g.pattern, "*", "ü-1"), plain[1:], plain[:len(plain)-1], "x"} {
			want, err := path.Match(g.pattern, name)
			if got := g.matches([]string{name}); err != nil || got != want {
				t.Errorf("%s of %q = %v, want %v, %v", g.pattern, name, got, want, err)
			}
		}
	}
	if simple < 30 {
		t.Errorf("%d patterns are simple", simple)
	}
}
