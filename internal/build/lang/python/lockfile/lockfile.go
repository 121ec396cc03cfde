// Package lockfile reads what Python's package managers have locked: uv.lock,
// poetry.lock, pdm.lock, pylock.toml and Pipfile.lock. A lock decides versions,
// checksums and where each package comes from; what of that an image cannot
// honour is refused by name, since the same name in another index may be another
// package.
package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// maxFile bounds what is read of a lockfile.
const maxFile = 64 << 20

// ProjectFile is the file that the locks belong to, except for Pipfile.lock.
const ProjectFile = "pyproject.toml"

// Package is one package that a lock installs.
type Package struct {
	Name    string // normalised
	Version string
	Index   string   // address of the index that it is locked to; "" is the default one
	Page    bool     // Index is one page with the files of all its packages
	Links   string   // a folder of the project that holds its wheels
	Others  []string // more indexes, where the lock does not say which: the hashes decide
	Archive string   // address of the one wheel that is the package, or a path in the project
	Hashes  []string // sha256:HEX, of any of its files
}

// Lock is a lockfile as a graph of packages.
type Lock struct {
	File    string // its name in the project
	Raw     []byte
	Python  Requirement // what the lock is good for
	Indexes map[string]string
	nodes   []*node
	roots   []edge
	groups  []string // of pylock.toml: those that are installed by default
}

// node is a package of the graph.
type node struct {
	Package
	source   string // distinguishes packages of the same name and version
	folder   string // in the project, when the package is that folder
	refuse   string // why an image cannot have it, in words
	requires string // specifiers of Python
	edges    []edge
	extras   map[string][]edge
}

// edge is a dependency.
type edge struct {
	name, version, source string
	marker                string
	extras                []string
	node                  *node // when the lock names the package itself
}

// reader is the way to read one kind of lock. The project's manifest is decoded
// once and may be empty.
type reader struct {
	file    string
	command string // brings the lock up to date
	read    func(l *Lock, m *Manifest) error
}

func readers() []reader {
	return []reader{
		{"uv.lock", "uv lock", readUv},
		{"poetry.lock", "poetry lock", readPoetry},
		{"pdm.lock", "pdm lock", readPdm},
		{"pylock.toml", "uv export --format pylock.toml -o pylock.toml", readPylock},
		{"Pipfile.lock", "pipenv lock", readPipfile},
	}
}

// Names returns the names of all lockfiles.
func Names() []string {
	var names []string
	for _, r := range readers() {
		names = append(names, r.file)
	}
	return names
}

// Read returns the lock of a project, nil when there is none. Of several, the
// first in the order of Names counts, and warn is told.
func Read(files fs.FS, m *Manifest, warn func(string)) (*Lock, error) {
	var found *Lock
	var use reader
	for _, r := range readers() {
		raw, err := lang.ReadFile(files, "python", r.file, maxFile)
		if err != nil {
			return nil, err
		}
		switch {
		case raw == nil:
		case found != nil:
			warn(fmt.Sprintf("%s is not used: %s decides what is installed; remove the one that is out of date", r.file, found.File))
		default:
			found, use = &Lock{File: r.file, Raw: raw, Indexes: map[string]string{}}, r
		}
	}
	if found == nil {
		return nil, nil
	}
	if err := use.read(found, m); err != nil {
		return nil, err
	}
	return found, found.upToDate(m, use.command)
}

// upToDate refuses a lock that lacks a dependency of the manifest.
func (l *Lock) upToDate(m *Manifest, command string) error {
	if l.File == "Pipfile.lock" {
		return nil
	}
	for _, name := range m.Names() {
		if !slices.ContainsFunc(l.nodes, func(n *node) bool { return n.Name == name }) {
			return fault.New(fault.Usage, "build.python", l.File, "it lacks %s, which %s asks for", name, ProjectFile).
				WithHint("bring it up to date: %s", command)
		}
	}
	return nil
}

// PackageNames returns the names of what some platform installs, sorted. Extras
// and markers are not looked at, so it may be more than one image has.
func (l *Lock) PackageNames() []string {
	var names []string
	for _, n := range l.reachable() {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Folders returns the folders of the project that are packages of their own,
// sorted: they are in the image as they are.
func (l *Lock) Folders() []string {
	var folders []string
	for _, n := range l.reachable() {
		if n.folder != "" {
			folders = append(folders, n.folder)
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// LocalFiles returns the wheels of the project that are packages, and its folders
// in which wheels are looked for.
func (l *Lock) LocalFiles() (wheels, folders []string) {
	for _, n := range l.reachable() {
		if n.Archive != "" && !isAddress(n.Archive) {
			wheels = append(wheels, n.Archive)
		}
		if n.Links != "" {
			folders = append(folders, n.Links)
		}
	}
	return wheels, folders
}

// reachable returns the packages to which a way leads from the project.
func (l *Lock) reachable() []*node {
	var out []*node
	seen := map[*node]bool{}
	queue := slices.Clone(l.roots)
	for len(queue) > 0 {
		e := queue[0]
		queue = queue[1:]
		for _, n := range l.candidates(e) {
			if seen[n] {
				continue
			}
			seen[n] = true
			out = append(out, n)
			queue = append(queue, n.edges...)
			for _, edges := range n.extras {
				queue = append(queue, edges...)
			}
		}
	}
	return out
}

func (l *Lock) candidates(e edge) []*node {
	if e.node != nil {
		return []*node{e.node}
	}
	var out []*node
	for _, n := range l.nodes {
		if n.Name == e.name && (e.version == "" || n.Version == e.version) && (e.source == "" || n.source == e.source) {
			out = append(out, n)
		}
	}
	return out
}

// Select returns what an image of the environment target installs, sorted by name.
func (l *Lock) Select(target Environment) ([]Package, error) {
	target.Groups = l.groups
	if !l.Python.Allows(target.Values["python_full_version"]) {
		return nil, l.refuse("it is for Python %s, and the base image has %s", l.Python.Text, target.Values["python_full_version"]).
			WithHint("choose a base image with such a Python, or lock again for this one")
	}
	w := walk{lock: l, target: target, seen: map[string]bool{}, chosen: map[string]*node{}}
	if err := w.follow(l.roots, nil); err != nil {
		return nil, err
	}
	var out []Package
	for _, n := range w.chosen {
		if n.folder == "" {
			out = append(out, n.Package)
		}
	}
	slices.SortFunc(out, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// walk is one way through the graph.
type walk struct {
	lock   *Lock
	target Environment
	seen   map[string]bool // package with an extra
	chosen map[string]*node
}

func (w *walk) follow(edges []edge, extras []string) error {
	for _, e := range edges {
		target := w.target
		target.Extras = extras
		holds, err := target.Matches(e.marker)
		if err != nil {
			return w.lock.refuse("%s: %w", e.name, err)
		}
		if !holds {
			continue
		}
		if err := w.visit(e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) visit(e edge) error {
	found := w.lock.candidates(e)
	if len(found) > 1 {
		found = slices.DeleteFunc(found, func(n *node) bool {
			ok, err := Satisfies(w.target.Values["python_full_version"], n.requires)
			return err == nil && !ok
		})
	}
	switch {
	case len(found) == 0:
		return w.lock.refuse("it asks for %s and does not hold it", e.name).WithHint("lock again")
	case len(found) > 1 && found[0] != found[1]:
		return w.lock.refuse("it holds %s in the versions %s and does not say which one counts", e.name, versionsOf(found)).
			WithHint("lock again with the current release of the tool")
	}
	n := found[0]
	if n.refuse != "" {
		return w.lock.refuse("%s %s", n.Name, n.refuse).
			WithHint("put a wheel of it into an index or into a folder of the project, and lock that; or build with a Dockerfile")
	}
	if other := w.chosen[n.Name]; other != nil && other != n {
		return w.lock.refuse("it holds %s in the versions %s, and both would be installed", n.Name, versionsOf([]*node{other, n}))
	}
	w.chosen[n.Name] = n
	for _, extra := range append([]string{""}, e.extras...) {
		state := n.Name + "[" + Normalise(extra) + "]"
		if w.seen[state] {
			continue
		}
		w.seen[state] = true
		edges := n.edges
		if extra != "" {
			// uv lists them by extra, poetry by marker.
			edges = append(slices.Clone(n.edges), n.extras[Normalise(extra)]...)
		}
		if err := w.follow(edges, slices.DeleteFunc([]string{extra}, func(s string) bool { return s == "" })); err != nil {
			return err
		}
	}
	return nil
}

func versionsOf(nodes []*node) string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Version)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " and ")
}

// refuse returns an error about the lock.
func (l *Lock) refuse(format string, args ...any) *fault.Error {
	return fault.New(fault.Usage, "build.python", l.File, format, args...)
}

// decodeTOML reads a file of the project and names line and column of a mistake.
func decodeTOML(name string, raw []byte, into any) error {
	err := toml.Unmarshal(raw, into)
	if err == nil {
		return nil
	}
	failure := fault.New(fault.Usage, "build.python", name, "%w", err)
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := e.Position()
		failure.Subject = fmt.Sprintf("%s:%d:%d", name, line, column)
	}
	return failure
}
