package pattern

import (
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"pgregory.net/rapid"
)

// A Matcher says what a walk from the top says, which hands on what it found about
// each folder: that is how docker build reads a context. The order of questions
// makes no difference.
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
			want := walk(t, reference, name)
			if got, err := m.Match(name); got != want || err != nil {
				t.Fatalf("%q with %q: %v, %v, want %v", name, patterns, got, err, want)
			}
		}
	})
}

func walk(t *rapid.T, patterns *patternmatcher.PatternMatcher, name string) (matched bool) {
	var above patternmatcher.MatchInfo
	for end := 0; end < len(name); end++ {
		next := strings.IndexByte(name[end:]+"/", '/')
		end += next
		var err error
		if matched, above, err = patterns.MatchesUsingParentResults(name[:end], above); err != nil {
			t.Fatal(err)
		}
	}
	return matched
}

// These are the values of docker build; those of the library's other way of asking,
// which knows nothing of the folders above, differ in the last but one.
func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		patterns, name string
		want           bool
	}{
		{"a", "a/b/c", true},
		{"a !a/b", "a/b/c", false},
		{"a !a/b", "a/c", true},
		{"** !a/b/*.md", "a/b/c.md", false},
		{"**/a", "x/y/a/z", true},
		{"a/*", "a", false},
		{"a/b !a", "a/b", true},
		{"a !a", "a/b", false},
	} {
		m, err := New(strings.Fields(tt.patterns))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.Match(tt.name); got != tt.want || err != nil {
			t.Errorf("%s with %q: %v, %v", tt.name, tt.patterns, got, err)
		}
	}
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
