package lockfile

import "cmp"

// uvFile is what is read of a uv.lock (version 1).
type uvFile struct {
	Version        int         `toml:"version"`
	RequiresPython string      `toml:"requires-python"`
	Packages       []uvPackage `toml:"package"`
}

type uvPackage struct {
	Name         string              `toml:"name"`
	Version      string              `toml:"version"`
	Source       uvSource            `toml:"source"`
	Dependencies []uvEdge            `toml:"dependencies"`
	Extras       map[string][]uvEdge `toml:"optional-dependencies"`
	Sdist        uvArtifact          `toml:"sdist"`
	Wheels       []uvArtifact        `toml:"wheels"`
}

type uvEdge struct {
	Name    string   `toml:"name"`
	Version string   `toml:"version"`
	Source  uvSource `toml:"source"`
	Marker  string   `toml:"marker"`
	Extra   []string `toml:"extra"`
}

type uvSource struct {
	Registry  string `toml:"registry"`
	Git       string `toml:"git"`
	URL       string `toml:"url"`
	Path      string `toml:"path"`
	Directory string `toml:"directory"`
	Editable  string `toml:"editable"`
	Virtual   string `toml:"virtual"`
}

type uvArtifact struct {
	URL  string `toml:"url"`
	Path string `toml:"path"`
	Hash string `toml:"hash"`
}

func (s uvSource) folder() string { return cmp.Or(s.Virtual, s.Editable, s.Directory) }

func (s uvSource) text() string {
	return cmp.Or(s.Registry, s.Git, s.URL, s.Path, s.folder())
}

func readUv(l *Lock, m *Manifest) error {
	var file uvFile
	if err := decodeTOML(l.File, l.Raw, &file); err != nil {
		return err
	}
	if file.Version != 1 {
		return l.refuse("version %d of this file is not known", file.Version)
	}
	l.Python = Requires(file.RequiresPython)
	l.Indexes = m.uvIndexes()
	rooted := false
	for _, p := range file.Packages {
		n := p.node(m)
		l.nodes = append(l.nodes, n)
		if p.Source.folder() == "." {
			l.roots, rooted = n.edges, true
		}
	}
	if !rooted {
		return l.refuse("it is of a workspace whose root is no application").
			WithHint("export the lock of one member into its folder and build that: uv export --package NAME --no-dev --no-emit-workspace -o NAME/requirements.txt")
	}
	return nil
}

func (p uvPackage) node(m *Manifest) *node {
	n := &node{Package: Package{Name: Normalise(p.Name), Version: p.Version}, source: p.Source.text(), edges: uvEdges(p.Dependencies), extras: map[string][]edge{}}
	for extra, edges := range p.Extras {
		n.extras[Normalise(extra)] = uvEdges(edges)
	}
	for _, a := range append(p.Wheels, p.Sdist) {
		if a.Hash != "" {
			n.Hashes = append(n.Hashes, a.Hash)
		}
	}
	switch {
	case p.Source.Registry != "" && !isAddress(p.Source.Registry):
		n.fromFolderOfWheels(p.Source.Registry)
	case p.Source.Registry != "":
		n.fromIndex(p.Source.Registry)
		n.Page = m.isPage(p.Source.Registry)
	case p.Source.Git != "":
		n.fromRepository("git", p.Source.Git)
	case p.Source.URL != "":
		n.fromFile(p.Source.URL)
	case p.Source.Path != "":
		n.fromFile(p.Source.Path)
	default:
		n.fromFolder(p.Source.folder())
	}
	return n
}

func uvEdges(from []uvEdge) []edge {
	var out []edge
	for _, e := range from {
		out = append(out, edge{name: Normalise(e.Name), version: e.Version, source: e.Source.text(), marker: e.Marker, extras: e.Extra})
	}
	return out
}
