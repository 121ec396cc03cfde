// Package include finds the files that Rust code includes from elsewhere.
package include

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/kn-lite/kn-lite/internal/build/lang/rust/cargo"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// maxIncludes bounds how many files are followed.
const maxIncludes = 10000

// Outside returns the files out of root that the code below it includes, by a
// macro or as a module, whether they are there or not.
func Outside(root string, skip func(name string, dir bool) (out, prune bool)) []string {
	var out []string
	// What cannot be read is the compiler's to complain about.
	_ = filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		rel, err := filepath.Rel(root, at)
		if err != nil || rel == "." {
			return nil
		}
		if left, _ := skip(filepath.ToSlash(rel), entry.IsDir()); left {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || filepath.Ext(at) != ".rs" {
			return nil
		}
		for _, file := range includes(at, packageOf(at, root)) {
			if !cargo.Below(root, file) && !slices.Contains(out, file) && len(out) < maxIncludes {
				out = append(out, file)
				// A file of code includes others.
				if filepath.Ext(file) == ".rs" {
					out = append(out, includes(file, packageOf(at, root))...)
				}
			}
		}
		return nil
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// packageOf is the folder of the manifest that a file below root belongs to.
func packageOf(file, root string) string {
	for at := filepath.Dir(file); cargo.Below(root, at); at = filepath.Dir(at) {
		if _, err := regular.ReadFile(filepath.Join(at, cargo.ManifestFile)); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return root
}

// includes are the files that one file of code includes.
func includes(file, manifest string) []string {
	text, err := regular.ReadFile(file)
	if err != nil {
		return nil
	}
	var out []string
	add := func(from, name string) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(from, filepath.FromSlash(name))
		}
		out = append(out, filepath.Clean(name))
	}
	for _, found := range regexp.MustCompile(`(?:\binclude(?:_str|_bytes)?!\s*[(\[{]\s*|#!?\[path\s*=\s*)r?#*"([^"]+)"`).FindAllSubmatch(text, -1) {
		add(filepath.Dir(file), string(found[1]))
	}
	for _, found := range regexp.MustCompile(`concat!\s*\(\s*env!\s*\(\s*"CARGO_MANIFEST_DIR"\s*\)\s*,\s*"/?([^"]+)"`).FindAllSubmatch(text, -1) {
		add(manifest, string(found[1]))
	}
	return out
}
