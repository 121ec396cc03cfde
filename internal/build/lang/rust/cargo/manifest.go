// Package cargo reads what Cargo reads: manifests and settings. It runs nothing.
package cargo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// The files of a project.
const (
	ManifestFile = "Cargo.toml"
	LockFile     = "Cargo.lock"
)

// maxFile bounds what is read of a file that the plan needs.
const maxFile = 16 << 20

// manifest is what is read of a Cargo.toml
// (https://doc.rust-lang.org/cargo/reference/manifest.html).
type manifest struct {
	Package *struct {
		Name       string
		DefaultRun string `toml:"default-run"`
		Autobins   *bool
		Workspace  string
	}
	Bin []struct {
		Name, Path string
	}
	Workspace *struct {
		Members, Exclude []string
	}
	Profile struct {
		Release struct {
			Strip, Debug any
		}
	}
}

// Project is what an image is made of.
type Project struct {
	Root    string // the workspace's folder; the project's own when it is no member of one
	Package string // the one with the program
	Program string
	Strips  bool // the project says itself what is kept beside the code
	// Unlocked is true when there is no Cargo.lock.
	Unlocked bool
}

// Inspect finds the program without running cargo.
func Inspect(p *lang.Project) (*Project, error) {
	raw, err := lang.ReadFile(p.Source.FS(), "rust", ManifestFile, maxFile)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, fault.New(fault.Usage, "build.rust", p.Label, "there is no Cargo.toml in this folder").WithHint("make one: cargo init")
	}
	m, err := parse(ManifestFile, raw)
	if err != nil {
		return nil, err
	}
	found, err := chosen(p, m)
	if err != nil {
		return nil, err
	}
	if found.Root, err = workspaceRoot(p.Dir, m); err != nil {
		return nil, err
	}
	top := m
	if found.Root != p.Dir {
		if top, err = readManifest(found.Root); err != nil {
			return nil, err
		}
	}
	found.Strips = top.Profile.Release.Strip != nil || top.Profile.Release.Debug != nil
	_, err = os.Stat(filepath.Join(found.Root, LockFile))
	if errors.Is(err, fs.ErrNotExist) {
		found.Unlocked = true
		return found, nil
	}
	return found, err
}

func parse(name string, raw []byte) (*manifest, error) {
	m := &manifest{}
	if err := toml.Unmarshal(raw, m); err != nil {
		failure := fault.New(fault.Usage, "build.rust", name, "%w", err)
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := e.Position()
			failure.Subject = fmt.Sprintf("%s:%d:%d", name, line, column)
		}
		return nil, failure
	}
	return m, nil
}

// readManifest is the manifest in a folder that need not be the project's.
func readManifest(dir string) (*manifest, error) {
	raw, err := regular.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, err
	}
	return parse(filepath.Join(filepath.Base(dir), ManifestFile), raw)
}

// chosen is the one program of the project: cargo's own rules (cargo help run),
// and a package's own name before those beside it.
func chosen(p *lang.Project, m *manifest) (*Project, error) {
	if m.Package == nil {
		return ofMembers(p, m)
	}
	names := programs(p.Source.FS(), m)
	found := &Project{Package: m.Package.Name}
	switch {
	case m.Package.DefaultRun != "":
		found.Program = m.Package.DefaultRun
	case len(names) == 1:
		found.Program = names[0]
	case slices.Contains(names, m.Package.Name):
		found.Program = m.Package.Name
	case len(names) == 0:
		return nil, fault.New(fault.Usage, "build.rust", p.Label, "the package %s has no program: it is a library", m.Package.Name).
			WithHint("give it a src/main.rs that listens on $PORT, or start from one: kn-lite func create NAME -l rust")
	default:
		return nil, fault.New(fault.Usage, "build.rust", p.Label, "the package %s has several programs: %s", m.Package.Name, strings.Join(names, ", ")).
			WithHint("say in Cargo.toml which one the image is for: default-run = %q", names[0])
	}
	return found, nil
}

// ofMembers is the program of a workspace that is no package itself.
func ofMembers(p *lang.Project, m *manifest) (*Project, error) {
	var found []*Project
	var folders, names []string
	if m.Workspace != nil {
		for _, dir := range members(p.Dir, m) {
			member, err := readManifest(dir)
			if err != nil || member.Package == nil {
				continue // as cargo will say
			}
			for _, name := range programs(os.DirFS(dir), member) {
				if rel, err := filepath.Rel(p.Dir, dir); err == nil {
					folders, names = append(folders, filepath.ToSlash(rel)), append(names, name)
				}
				found = append(found, &Project{Package: member.Package.Name, Program: name})
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fault.New(fault.Usage, "build.rust", p.Label, "the workspace has no program").
			WithHint("give one of its members a src/main.rs that listens on $PORT")
	}
	return nil, fault.New(fault.Usage, "build.rust", p.Label, "the workspace has several programs: %s", strings.Join(names, ", ")).
		WithHint("name the folder of the one that the image is for: kn-lite build %s", path.Join(filepath.ToSlash(p.Label), folders[0]))
}

// members are the folders of a workspace's members.
func members(root string, m *manifest) []string {
	var dirs []string
	for _, pattern := range m.Workspace.Members {
		// A pattern with a mistake is for cargo to explain.
		matches, _ := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		for _, dir := range matches {
			if !slices.Contains(dirs, dir) && !excluded(root, m, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	slices.Sort(dirs)
	return dirs
}

func excluded(root string, m *manifest, dir string) bool {
	return slices.ContainsFunc(m.Workspace.Exclude, func(name string) bool {
		return Below(filepath.Join(root, filepath.FromSlash(name)), dir)
	})
}

// programs are the names of a package's programs: those it lists, and those that
// cargo finds by where they stand.
func programs(files fs.FS, m *manifest) []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	listsMain := false
	for _, b := range m.Bin {
		add(b.Name)
		listsMain = listsMain || path.Clean(b.Path) == "src/main.rs"
	}
	if m.Package.Autobins != nil && !*m.Package.Autobins {
		return names
	}
	if isFile(files, "src/main.rs") && !listsMain {
		add(m.Package.Name)
	}
	entries, err := fs.ReadDir(files, "src/bin")
	if err != nil {
		return names
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".rs"); ok && !e.IsDir() {
			add(name)
		} else if isFile(files, path.Join("src/bin", e.Name(), "main.rs")) {
			add(e.Name())
		}
	}
	return names
}

func isFile(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular()
}
