package pattern

import (
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"pgregory.net/rapid"
)

// A Matcher says what the library says that it is made of.
func TestMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{"a", "b", "a.txt", "*", "**", "?", ".env*"})
		patterns := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			not := rapid.SampledFrom([]string{"", "", "!"}).Draw(t, "not")
			return not + strings.Join(rapid.SliceOfN(part, 1, 3).Draw(t, "parts"), "/")
		}), 0, 5).Draw(t, "patterns")
		names := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			name := rapid.SampledFrom([]string{"a", "b", "a.txt", ".env.local"})
			return strings.Join(rapid.SliceOfN(name, 1, 4).Draw(t, "names"), "/")
		}), 1, 6).Draw(t, "paths")
		reference, err := patternmatcher.New(patterns)
		if err != nil {
			t.Skip("not patterns")
		}
		m, err := New(patterns)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			want, _ := reference.MatchesOrParentMatches(name)
			if got, err := m.Match(name); got != want || err != nil {
				t.Fatalf("%q with %q: %v, %v, want %v", name, patterns, got, err, want)
			}
		}
	})
}

func BenchmarkMatcher(b *testing.B) {
	m, err := New([]string{"**/.env*", "**/id_rsa", "**/node_modules", "!keep"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		name := "d"
		for range 900 {
			name += "/d"
			if _, err := m.Match(name); err != nil {
				b.Fatal(err)
			}
		}
		clear(m.folders)
	}
}
