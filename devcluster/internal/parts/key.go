package parts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// key names a build by its content: the same sources, requirements, toolchain
// and flags give the same key in any folder.
func key(source string, roots []string, more ...string) (string, error) {
	h := sha256.New()
	for _, m := range more {
		fmt.Fprintf(h, "%q\n", m)
	}
	// go.mod lists every version that goes into the build; go.sum only vouches for them.
	mod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		return "", err
	}
	for _, line := range requirements(string(mod)) {
		fmt.Fprintln(h, line)
	}
	for _, root := range append([]string{"stubs"}, roots...) {
		// WalkDir is in lexical order, so the key does not depend on the file system.
		err = filepath.WalkDir(filepath.Join(source, root), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() || !isInput(d.Name()) {
				return nil
			}
			rel, err := filepath.Rel(source, path)
			if err != nil {
				return err
			}
			return hashFile(h, path, filepath.ToSlash(rel))
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// requirements are the lines of a go.mod without comments, in order: a new
// comment is no reason to link everything again.
func requirements(mod string) []string {
	var lines []string
	for line := range strings.Lines(mod) {
		line, _, _ = strings.Cut(line, "//")
		if fields := strings.Fields(line); len(fields) > 0 {
			lines = append(lines, strings.Join(fields, " "))
		}
	}
	slices.Sort(lines) // tidy moves a line when a dependency becomes direct
	return slices.Compact(lines)
}

// isInput tells the files that a compiled program depends on.
func isInput(name string) bool {
	if strings.HasSuffix(name, "_test.go") {
		return false
	}
	switch filepath.Ext(name) {
	case ".go", ".mod":
		return true
	}
	return false
}

func hashFile(w io.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content := sha256.New()
	if _, err := io.Copy(content, f); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%q %x\n", name, content.Sum(nil))
	return err
}
