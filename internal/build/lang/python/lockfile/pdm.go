package lockfile

import (
	"slices"
	"strings"
)

// pdmFile is what is read of a pdm.lock.
type pdmFile struct {
	Metadata struct {
		Version  string   `toml:"lock_version"`
		Strategy []string `toml:"strategy"`
		Groups   []string `toml:"groups"`
	} `toml:"metadata"`
	Packages []struct {
		Name     string   `toml:"name"`
		Version  string   `toml:"version"`
		Requires string   `toml:"requires_python"`
		Groups   []string `toml:"groups"`
		Marker   string   `toml:"marker"`
		Extras   []string `toml:"extras"`
		Git      string   `toml:"git"`
		URL      string   `toml:"url"`
		Path     string   `toml:"path"`
		Files    []struct {
			File string `toml:"file"`
			URL  string `toml:"url"`
			Hash string `toml:"hash"`
		} `toml:"files"`
	} `toml:"package"`
}

// readPdm reads a pdm.lock. It does not say which index a package is from, so the
// checksums alone tell one package from another of its name.
func readPdm(l *Lock, m *Manifest) error {
	var file pdmFile
	if err := decodeTOML(l.File, l.Raw, &file); err != nil {
		return err
	}
	var indexes []string
	for _, s := range m.Tool.Pdm.Source {
		l.Indexes[s.Name] = s.URL
		indexes = append(indexes, s.URL)
	}
	if len(file.Packages) > 0 && !slices.Contains(file.Metadata.Strategy, "inherit_metadata") {
		return l.refuse("it does not say which packages the application needs").WithHint("lock with that: pdm lock --strategy inherit_metadata")
	}
	for _, p := range file.Packages {
		n := &node{Package: Package{Name: Normalise(p.Name), Version: p.Version}, requires: p.Requires}
		for _, f := range p.Files {
			n.Hashes = append(n.Hashes, f.Hash)
		}
		switch {
		case p.Git != "":
			n.fromRepository("git", p.Git)
		case p.URL != "":
			n.fromFile(p.URL)
		case strings.HasSuffix(p.Path, ".whl"):
			n.fromFile(p.Path)
		case p.Path != "":
			n.fromFolder(p.Path)
		case len(n.Hashes) == 0:
			n.refuse = "has no checksums"
		default:
			n.Others = indexes
		}
		// An extra stands beside its package, as an entry of the same name and version.
		at := slices.IndexFunc(l.nodes, func(o *node) bool { return o.Name == n.Name && o.Version == n.Version })
		if at < 0 {
			at, l.nodes = len(l.nodes), append(l.nodes, n)
		}
		if slices.Contains(p.Groups, "default") {
			l.roots = append(l.roots, edge{name: n.Name, node: l.nodes[at], marker: p.Marker})
		}
	}
	return nil
}
