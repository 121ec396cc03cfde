package plugin

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// namePattern is what a builder may be called: what follows --builder is typed by
// people and is part of file names.
var namePattern = regexp.MustCompile(`^[a-z0-9]+(?:[-_][a-z0-9]+)*$`)

// Found is a plugin on this machine.
type Found struct {
	Name string
	File string // absolute
	// Shadowed are programs of the same name in later folders of PATH.
	Shadowed []string
}

// List returns the plugins in the folders of path, which is $PATH, by their names.
// Relative folders are not looked into: what runs would depend on whose project is
// the working folder.
func List(path string) []Found {
	found := map[string]*Found{}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			name, ok := nameOf(e.Name())
			file := filepath.Join(dir, e.Name())
			if !ok || !executable(file) {
				continue
			}
			if first := found[name]; first == nil {
				found[name] = &Found{Name: name, File: file}
			} else if first.File != file && !slices.Contains(first.Shadowed, file) {
				first.Shadowed = append(first.Shadowed, file)
			}
		}
	}
	out := make([]Found, 0, len(found))
	for _, f := range found {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Found) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Find returns the plugin called name, nil where there is none. A file of that name
// that cannot be run is an error: somebody has meant it.
func Find(path, name string) (*Found, error) {
	if !namePattern.MatchString(name) {
		return nil, nil
	}
	for _, f := range List(path) {
		if f.Name == name {
			return &f, nil
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, prefix+name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && filepath.IsAbs(dir) {
			return nil, fault.New(fault.Usage, "builder.plugin", name, "%s cannot be run: it has mode %s", file, info.Mode().Perm()).
				WithHint("chmod +x %s", file)
		}
	}
	return nil, nil
}

// Names returns the names of the plugins in the folders of path.
func Names(path string) []string {
	var out []string
	for _, f := range List(path) {
		out = append(out, f.Name)
	}
	return out
}

// Open returns the builder called name, nil where there is no such plugin.
func Open(host *builder.Host, path, name string) (builder.Builder, error) {
	found, err := Find(path, name)
	if found == nil || err != nil {
		return nil, err
	}
	return New(host, *found, Limits{}), nil
}

// nameOf returns the name of the plugin that a file is.
func nameOf(file string) (string, bool) {
	name, ok := strings.CutPrefix(file, prefix)
	if runtime.GOOS == "windows" {
		ext := filepath.Ext(name)
		if !slices.Contains([]string{".exe", ".bat", ".cmd"}, strings.ToLower(ext)) {
			return "", false
		}
		name = strings.TrimSuffix(name, ext)
	}
	return name, ok && namePattern.MatchString(name)
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0)
}
