package golang

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// keptLayer holds the files that the program reads at run time. They are looked
// for in the project's folder, else in that of its module, where such a program is
// started by hand.
func keptLayer(p *lang.Project) lang.Layer {
	return lang.Layer{
		Name: "files", From: lang.KeepVariable,
		Files: func(ctx context.Context) ([]layer.File, func() error, error) {
			files, err := lang.KeptFiles(ctx, p, p.Source, "app")
			if err == nil {
				return files, nil, nil
			}
			root, rootErr := moduleRoot(p.Dir)
			if rootErr != nil || root == p.Dir {
				return nil, nil, err
			}
			tree, openErr := source.Open(root)
			if openErr != nil {
				return nil, nil, errors.Join(err, openErr)
			}
			files, err = lang.KeptFiles(ctx, p, tree, "app")
			return files, tree.Close, err
		},
	}
}

// runTimeFolders are names of folders that programs often read at run time.
func runTimeFolders() []string {
	return []string{"assets", "config", "configs", "html", "i18n", "locales", "migrations", "public", "static", "templates", "tmpl", "views", "web", "www"}
}

// dataFiles returns the files beside the program that hold data.
func dataFiles(p *lang.Project) []string {
	// What cannot be listed has none for this user.
	entries, _ := os.ReadDir(p.Dir)
	var out []string
	for _, entry := range entries {
		name := entry.Name()
		data := slices.Contains([]string{".csv", ".html", ".json", ".sql", ".tmpl", ".toml", ".txt", ".xml", ".yaml", ".yml"}, filepath.Ext(name))
		if data && entry.Type().IsRegular() && !strings.HasPrefix(name, ".") && name != "func.yaml" {
			out = append(out, name)
		}
	}
	return out
}

// readAtRunTime are the folders, and the files beside the program, that the module's code names in its strings, which
// are there and neither embedded nor kept.
func readAtRunTime(p *lang.Project) []string {
	root, err := moduleRoot(p.Dir)
	if err != nil {
		return nil
	}
	var candidates []string
	for _, name := range runTimeFolders() {
		if isDir(filepath.Join(p.Dir, name)) || isDir(filepath.Join(root, name)) {
			candidates = append(candidates, name)
		}
	}
	candidates = append(candidates, dataFiles(p)...)
	kept := lang.KeptPatterns(p.Environ)
	candidates = slices.DeleteFunc(candidates, func(name string) bool {
		return slices.ContainsFunc(kept, func(pattern string) bool { return pattern == name || strings.HasPrefix(pattern, name+"/") })
	})
	if len(candidates) == 0 {
		return nil
	}
	var quoted []string
	for _, name := range candidates {
		quoted = append(quoted, regexp.QuoteMeta(name))
	}
	literal := regexp.MustCompile("[\"`](?:\\./)?(" + strings.Join(quoted, "|") + ")(?:/[^\"`]*)?[\"`]")
	embedded := regexp.MustCompile(`(?m)^//go:embed (.*)$`)
	named, excluded, folders := map[string]bool{}, map[string]bool{}, 0
	// What cannot be read is the compiler's to complain about.
	_ = filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		name := entry.Name()
		if entry.IsDir() {
			if folders++; folders > maxFolders || at != root && (strings.HasPrefix(name, ".") || slices.Contains([]string{"vendor", "testdata", "node_modules"}, name)) {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := regular.ReadFile(at)
		if err != nil {
			return nil
		}
		for _, found := range literal.FindAllSubmatch(text, -1) {
			named[string(found[1])] = true
		}
		for _, found := range embedded.FindAllSubmatch(text, -1) {
			for _, name := range candidates {
				if bytes.Contains(found[1], []byte(name)) {
					excluded[name] = true
				}
			}
		}
		return nil
	})
	return slices.DeleteFunc(candidates, func(name string) bool { return !named[name] || excluded[name] })
}

func isDir(at string) bool {
	info, err := os.Stat(at)
	return err == nil && info.IsDir()
}
