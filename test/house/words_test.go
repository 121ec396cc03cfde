package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPlainWords holds that code, messages and documents use the field's own words.
func TestPlainWords(t *testing.T) {
	instead := []struct {
		not *regexp.Regexp
		but string
	}{
		{regexp.MustCompile(`\btells? whether\b`), "reports whether"},
		{regexp.MustCompile(`(?i)\b(story|tale)\b`), "log, progress"},
		{regexp.MustCompile(`(?i)\bdoors?\b`), "ingress, endpoint"},
		{regexp.MustCompile(`(?i)\broads?\b`), "way, alternative"},
		{regexp.MustCompile(`(?i)\bglances?\b`), "look, status"},
		{regexp.MustCompile(`(?i)\bleaves? away\b`), "omit"},
		{regexp.MustCompile(`\bhangs? on (it|the image|an image|its image)`), "is attached to"},
		{regexp.MustCompile(`(?i)left to the imagination`), "optional"},
		{regexp.MustCompile(`is asked on port`), "Knative sends requests to port"},
		{regexp.MustCompile(`\b(amongOthers|standalone|lossy|owed|keepers)\b`), "a verb, or the field's term"},
	}
	seen := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "node_modules" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" && filepath.Ext(path) != ".md" || d.Name() == "words_test.go":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		line := 0
		for text := range strings.Lines(string(text)) {
			line++
			for _, word := range instead {
				if found := word.not.FindString(text); found != "" {
					t.Errorf("%s:%d: %q: say %s", path, line, found, word.but)
				}
			}
		}
		return nil
	})
	if err != nil || seen < 500 {
		t.Fatalf("%d files, %v", seen, err)
	}
}
