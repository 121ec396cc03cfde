package parts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// key names a build by its content: the same sources, requirements, toolchain
// and flags give the same key in any folder.
func key(source string, roots []string, more ...string) (string, error) {
	h := sha256.New()
	for _, m := range more {
		fmt.Fprintf(h, "%q\n", m)
	}
	for _, root := range append([]string{"go.mod", "go.sum", "stubs"}, roots...) {
		// WalkDir is in lexical order, so the key does not depend on the file system.
		err := filepath.WalkDir(filepath.Join(source, root), func(path string, d fs.DirEntry, err error) error {
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

// isInput tells the files that a compiled program depends on.
func isInput(name string) bool {
	if strings.HasSuffix(name, "_test.go") {
		return false
	}
	switch filepath.Ext(name) {
	case ".go", ".mod", ".sum":
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
