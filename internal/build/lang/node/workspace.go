package node

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/regular"
)

const pnpmWorkspace = "pnpm-workspace.yaml"

// workspace is what one package of several is built in: the lock is in a folder above,
// and so are the packages that it depends on. See docs/decisions/0019.
type workspace struct {
	dir     string       // of the root, absolute
	tree    *source.Tree // the root
	member  string       // the folder of the package that starts, from the root
	name    string       // of that package
	needed  []string     // folders of the packages in the image: those that the member depends on, and itself
	scripts []scriptOf   // those of the root and of the packages, each after those that it depends on
}

// member is a package of a workspace.
type member struct {
	Name string `json:"name"`
	manifest
}

// findWorkspace looks above a project that has no lock of its own for the workspace
// that it belongs to, as the managers do. There may be none.
func findWorkspace(ctx context.Context, p *lang.Project) (*workspace, error) {
	for _, lock := range locks() {
		if exists(p.Source.FS(), lock.file) {
			return nil, nil
		}
	}
	for dir := filepath.Dir(p.Dir); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		rel, err := filepath.Rel(dir, p.Dir)
		if err != nil {
			return nil, err
		}
		if patterns, found := packagePatterns(dir); found {
			if !matchesFolder(patterns, filepath.ToSlash(rel)) {
				return nil, nil
			}
			return openWorkspace(ctx, dir, filepath.ToSlash(rel), patterns)
		}
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return nil, nil // what is above belongs to something else
		}
	}
	return nil, nil
}

// packagePatterns returns the patterns of the folders that are packages, where dir is
// the root of a workspace.
func packagePatterns(dir string) (patterns []string, found bool) {
	if raw, err := regular.ReadFile(filepath.Join(dir, pnpmWorkspace)); err == nil {
		var settings struct{ Packages []string }
		err := yaml.Unmarshal(raw, &settings)
		return settings.Packages, err == nil && len(settings.Packages) > 0
	}
	raw, err := regular.ReadFile(filepath.Join(dir, manifestFile))
	var m manifest
	if err != nil || json.Unmarshal(raw, &m) != nil {
		return nil, false
	}
	var object struct{ Packages []string } // as Yarn has it, beside other settings
	if json.Unmarshal(m.Workspaces, &patterns) != nil && json.Unmarshal(m.Workspaces, &object) == nil {
		patterns = object.Packages
	}
	return patterns, len(patterns) > 0
}

// matchesFolder reports whether a folder is one that the patterns name. A later
// pattern with ! takes it out.
func matchesFolder(patterns []string, folder string) bool {
	in := false
	for _, pattern := range patterns {
		pattern, not := strings.CutPrefix(pattern, "!")
		if matchSegments(strings.Split(path.Clean(pattern), "/"), strings.Split(folder, "/")) {
			in = !not
		}
	}
	return in
}

func matchSegments(pattern, name []string) bool {
	if len(pattern) == 0 || len(name) == 0 {
		return len(name) == 0 && !slices.ContainsFunc(pattern, func(p string) bool { return p != "**" })
	}
	if pattern[0] == "**" {
		return matchSegments(pattern[1:], name) || matchSegments(pattern, name[1:])
	}
	ok, err := path.Match(pattern[0], name[0])
	return err == nil && ok && matchSegments(pattern[1:], name[1:])
}

func openWorkspace(ctx context.Context, dir, folder string, patterns []string) (*workspace, error) {
	tree, err := source.Open(dir)
	if err != nil {
		return nil, err
	}
	w := &workspace{dir: tree.Dir(), tree: tree, member: folder}
	members, err := readMembers(ctx, tree, patterns)
	if err != nil {
		_ = tree.Close() // it was only read
		return nil, err
	}
	w.name = members[folder].Name
	w.needed = closure(members, folder, false)
	used := closure(members, folder, true)
	// The root's own build script is for all of its packages, and is not run.
	if raw, err := read(tree.FS(), manifestFile); err == nil && raw != nil {
		var root manifest
		if json.Unmarshal(raw, &root) == nil { // it is read once more, where a mistake is reported
			w.scripts = installScripts(&root, ".")
		}
	}
	for _, at := range used {
		m := members[at].manifest
		w.scripts = append(w.scripts, installScripts(&m, at)...)
	}
	for _, at := range used {
		m := members[at].manifest
		w.scripts = append(w.scripts, buildScript(&m, at)...)
	}
	return w, nil
}

// readMembers reads the manifests of the packages, by their folders.
func readMembers(ctx context.Context, tree *source.Tree, patterns []string) (map[string]member, error) {
	files, err := tree.Walk(ctx, "", func(name string, dir bool) (out, prune bool) {
		if base := path.Base(name); base == modules || base == ".git" || source.InState(name) {
			return true, true
		}
		return dir || path.Base(name) != manifestFile || !matchesFolder(patterns, path.Dir(name)), false
	}, func(string) {})
	if err != nil {
		return nil, err
	}
	members := map[string]member{}
	for _, f := range files {
		raw, err := read(tree.FS(), f.Path)
		if err != nil {
			return nil, err
		}
		var m member
		if err := decode(f.Path, raw, &m); err != nil {
			return nil, err
		}
		members[path.Dir(f.Path)] = m
	}
	return members, nil
}

// closure returns the folders of the packages of the workspace that one depends on,
// each after those that it depends on itself, and the one last.
func closure(members map[string]member, folder string, development bool) []string {
	folders := map[string]string{}
	for at, m := range members {
		folders[m.Name] = at
	}
	var out []string
	seen := map[string]bool{}
	var visit func(at string)
	visit = func(at string) {
		seen[at] = true
		m := members[at]
		lists := []map[string]string{m.Dependencies, m.OptionalDependencies, m.PeerDependencies}
		if development {
			lists = append(lists, m.DevDependencies)
		}
		var next []string
		for _, list := range lists {
			for name := range list {
				if at, ok := folders[name]; ok && name != "" {
					next = append(next, at)
				}
			}
		}
		slices.Sort(next)
		for _, at := range next {
			if !seen[at] {
				visit(at)
			}
		}
		out = append(out, at)
	}
	visit(folder)
	return out
}

// at returns the project from the folder with the lock: its own, or that of the workspace.
func (p *project) at(of *lang.Project) *lang.Project {
	if p.workspace == nil {
		return of
	}
	root := *of
	root.Dir, root.Source = p.workspace.dir, p.workspace.tree
	return &root
}

// home returns the folder in the image in which the project starts.
func (p *project) home() string {
	if p.workspace == nil {
		return home
	}
	return path.Join(home, p.workspace.member)
}

// ignore reads the rules for what stays out of the image. Of a workspace, so does
// every package that is not needed.
func (p *project) ignore(files fs.FS, warn func(string), more ...string) (*source.Ignore, error) {
	if p.workspace == nil {
		return source.ReadIgnore(files, warn, more...)
	}
	return source.ReadIgnoreOf(files, p.workspace.needed, warn, more...)
}

// Close implements io.Closer.
func (p *project) Close() error {
	if p.workspace == nil {
		return nil
	}
	return p.workspace.tree.Close()
}

// moved returns the files below a folder, below another.
func moved(files []layer.File, from, to string) []layer.File {
	var out []layer.File
	for _, f := range files {
		if rest, ok := strings.CutPrefix(f.Path, from+"/"); ok {
			f.Path = path.Join(to, rest)
			out = append(out, f)
		}
	}
	return out
}
