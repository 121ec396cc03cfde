package house

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxSameLines is how many lines in a row may be the same in two files.
const maxSameLines = 19

// TestNoTwins finds the same lines in two files: they belong into one place. Imports
// do not count, and what is generated does not.
func TestNoTwins(t *testing.T) {
	type place struct {
		file string
		line int
	}
	files, runs := map[string][]string{}, map[string][]place{}
	for _, dir := range []string{"cmd", "internal", "test", "devcluster", "builders", "tools"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil || bytes.Contains(raw[:min(len(raw), 400)], []byte("DO NOT EDIT")) {
				return err
			}
			name, _ := filepath.Rel(root, path)
			files[name] = withoutImports(string(raw))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const window = maxSameLines + 1
	for file, lines := range files {
		for i := 0; i+window <= len(lines); i++ {
			run := strings.Join(lines[i:i+window], "\n")
			runs[run] = append(runs[run], place{file, i})
		}
	}
	for run, places := range runs {
		first := places[0]
		for _, other := range places[1:] {
			// A longer run is told once, at its beginning.
			if other.file == first.file || first.line > 0 && other.line > 0 && files[first.file][first.line-1] == files[other.file][other.line-1] {
				continue
			}
			t.Errorf("%s and %s share %d lines or more, from %q on: make one of them", first.file, other.file, window, strings.SplitN(strings.TrimSpace(run), "\n", 2)[0])
		}
	}
	if len(runs) < 10_000 {
		t.Errorf("only %d places were looked at", len(runs))
	}
}

// withoutImports returns the lines of a file below its imports, without indentation.
func withoutImports(text string) []string {
	if _, below, ok := strings.Cut(text, "\nimport (\n"); ok {
		_, text, _ = strings.Cut(below, "\n)\n")
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}
