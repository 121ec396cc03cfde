package node

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
)

// readModules describes what is in the folders of dependencies below dir, so that it
// can be seen what changes there.
func readModules(dir string) (map[string]string, error) {
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, at)
		name = filepath.ToSlash(name)
		if entry.IsDir() || !inModules(name) {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		out[name] = fmt.Sprint(info.Size(), info.ModTime().UnixNano(), info.Mode())
		return nil
	})
	return out, err
}

func inModules(name string) bool {
	return strings.HasPrefix(name, modules+"/") || strings.Contains(name, "/"+modules+"/")
}

// changedModules returns what the scripts have written among the dependencies since:
// patches, generated clients. Caches of tools and packages that only development has
// are no part of it.
func (p *project) changedModules(ctx context.Context, dir string, tree *source.Tree, before map[string]string) ([]layer.File, error) {
	after, err := readModules(dir)
	if err != nil {
		return nil, err
	}
	folders := map[string]bool{}
	for name, now := range after {
		if before[name] == now || p.inDevelopment(name) {
			delete(after, name)
			continue
		}
		for at := path.Dir(name); at != "."; at = path.Dir(at) {
			folders[at] = true
		}
	}
	if len(after) == 0 {
		return nil, nil
	}
	return tree.Walk(ctx, home, func(name string, isDir bool) (out, prune bool) {
		if isDir {
			return !folders[name] || !inModules(name) && path.Base(name) != modules, !folders[name]
		}
		_, changed := after[name]
		return !changed, false
	}, func(string) {})
}

// inDevelopment reports whether a file below node_modules is a tool's note or belongs to
// a package that npm's lock has for development only.
func (p *project) inDevelopment(name string) bool {
	segments := strings.Split(name, "/")
	for i, segment := range segments[:len(segments)-1] {
		if segment != modules {
			continue
		}
		next := segments[i+1]
		if slices.Contains([]string{".cache", ".vite", ".vite-temp", ".bin", ".package-lock.json", ".modules.yaml", ".yarn-integrity", ".yarn-state.yml"}, next) ||
			strings.HasPrefix(next, ".pnpm-workspace-state") {
			return true
		}
		if strings.HasPrefix(next, "@") && i+2 < len(segments) {
			next += "/" + segments[i+2]
		}
		if slices.Contains(p.devPackages, strings.Join(segments[:i+1], "/")+"/"+next) {
			return true
		}
	}
	return false
}
