package lockfile

import "slices"

// pylockFile is what is read of a pylock.toml
// (https://packaging.python.org/en/latest/specifications/pylock-toml/).
type pylockFile struct {
	Version  string          `toml:"lock-version"`
	Python   string          `toml:"requires-python"`
	Groups   []string        `toml:"default-groups"`
	Packages []pylockPackage `toml:"packages"`
}

type pylockPackage struct {
	Name      string           `toml:"name"`
	Version   string           `toml:"version"`
	Marker    string           `toml:"marker"`
	Requires  string           `toml:"requires-python"`
	Index     string           `toml:"index"`
	Sdist     *pylockArtifact  `toml:"sdist"`
	Wheels    []pylockArtifact `toml:"wheels"`
	Archive   *pylockArtifact  `toml:"archive"`
	Directory *struct {
		Path string `toml:"path"`
	} `toml:"directory"`
	VCS *struct {
		Type string `toml:"type"`
		URL  string `toml:"url"`
		Path string `toml:"path"`
	} `toml:"vcs"`
}

type pylockArtifact struct {
	URL    string            `toml:"url"`
	Path   string            `toml:"path"`
	Hashes map[string]string `toml:"hashes"`
}

func readPylock(l *Lock, _ *Manifest) error {
	var file pylockFile
	if err := decodeTOML(l.File, l.Raw, &file); err != nil {
		return err
	}
	if file.Version != "1.0" {
		return l.refuse("version %q of this file is not known", file.Version)
	}
	l.Python, l.groups = Requires(file.Python), file.Groups
	for _, p := range file.Packages {
		n := p.node()
		l.nodes = append(l.nodes, n)
		l.roots = append(l.roots, edge{name: n.Name, node: n, marker: p.Marker})
	}
	return nil
}

func (p pylockPackage) node() *node {
	n := &node{Package: Package{Name: Normalise(p.Name), Version: p.Version}, requires: p.Requires}
	artifacts := slices.Clone(p.Wheels)
	if p.Sdist != nil {
		artifacts = append(artifacts, *p.Sdist)
	}
	if p.Archive != nil {
		artifacts = append(artifacts, *p.Archive)
	}
	for _, a := range artifacts {
		if sum := a.Hashes["sha256"]; sum != "" {
			n.Hashes = append(n.Hashes, "sha256:"+sum)
		}
	}
	switch {
	case p.VCS != nil:
		n.fromRepository(p.VCS.Type, p.VCS.URL+p.VCS.Path)
	case p.Directory != nil:
		n.fromFolder(p.Directory.Path)
	case p.Archive != nil:
		n.fromFile(p.Archive.URL + p.Archive.Path)
	case len(n.Hashes) == 0:
		n.refuse = "has no SHA-256 checksums"
	default:
		n.fromIndex(p.Index)
	}
	return n
}
