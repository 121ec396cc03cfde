package lockfile

import (
	"fmt"
	"slices"
	"strings"
)

// poetryFile is what is read of a poetry.lock.
type poetryFile struct {
	Packages []poetryPackage `toml:"package"`
	Metadata struct {
		Python string `toml:"python-versions"`
	} `toml:"metadata"`
}

type poetryPackage struct {
	Name         string         `toml:"name"`
	Version      string         `toml:"version"`
	Optional     bool           `toml:"optional"`
	Python       string         `toml:"python-versions"`
	Groups       []string       `toml:"groups"`  // since Poetry 2
	Markers      any            `toml:"markers"` // one, or one for each group
	Dependencies map[string]any `toml:"dependencies"`
	Files        []struct {
		File string `toml:"file"`
		Hash string `toml:"hash"`
	} `toml:"files"`
	Source struct {
		Type      string `toml:"type"`
		URL       string `toml:"url"`
		Reference string `toml:"reference"`
	} `toml:"source"`
}

func readPoetry(l *Lock, m *Manifest) error {
	var file poetryFile
	if err := decodeTOML(l.File, l.Raw, &file); err != nil {
		return err
	}
	l.Python = RequiresPoetry(file.Metadata.Python)
	for _, s := range m.Tool.Poetry.Source {
		l.Indexes[s.Name] = s.URL
	}
	grouped := slices.ContainsFunc(file.Packages, func(p poetryPackage) bool { return len(p.Groups) > 0 })
	for _, p := range file.Packages {
		n := p.node()
		l.nodes = append(l.nodes, n)
		switch {
		case grouped && slices.Contains(p.Groups, "main") && !p.Optional:
			// Each says itself when it is installed.
			l.roots = append(l.roots, edge{name: n.Name, node: n, marker: p.marker()})
		case !grouped:
			n.edges = poetryEdges(p.Dependencies)
		}
	}
	if grouped {
		return nil
	}
	if len(file.Packages) > 0 && len(file.Packages[0].Files) == 0 {
		return l.refuse("it was written by a Poetry before 1.3, which keeps checksums apart").WithHint("write it anew: poetry lock")
	}
	for _, requirement := range m.Project.Dependencies {
		l.roots = append(l.roots, edgeOf(requirement))
	}
	direct := poetryEdges(m.Tool.Poetry.Dependencies)
	l.roots = append(l.roots, direct...)
	return nil
}

func (p poetryPackage) node() *node {
	n := &node{Package: Package{Name: Normalise(p.Name), Version: p.Version}, requires: p.Python}
	for _, f := range p.Files {
		n.Hashes = append(n.Hashes, f.Hash)
	}
	switch p.Source.Type {
	case "":
	case "legacy":
		n.fromIndex(p.Source.URL)
	case "directory":
		n.fromFolder(p.Source.URL)
	case "file", "url":
		n.fromFile(p.Source.URL)
	default:
		n.fromRepository(p.Source.Type, p.Source.URL)
	}
	return n
}

// marker returns when the package is installed for the application itself.
func (p poetryPackage) marker() string {
	switch m := p.Markers.(type) {
	case string:
		return m
	case map[string]any:
		text, _ := m["main"].(string)
		return text
	}
	return ""
}

// poetryEdges returns the dependencies of a table of Poetry's: a version, a table,
// or a list of tables for each name.
func poetryEdges(table map[string]any) []edge {
	var out []edge
	for name, value := range table {
		if name == "python" {
			continue
		}
		several, ok := value.([]any)
		if !ok {
			several = []any{value}
		}
		for _, one := range several {
			if e, used := poetryEdge(name, one); used {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b edge) int { return strings.Compare(a.name+a.marker, b.name+b.marker) })
	return out
}

func poetryEdge(name string, value any) (e edge, used bool) {
	e = edge{name: Normalise(name)}
	table, ok := value.(map[string]any)
	if !ok {
		return e, true
	}
	e.marker, _ = table["markers"].(string)
	if platform, _ := table["platform"].(string); platform != "" {
		e.marker = fmt.Sprintf("sys_platform == %q", platform)
	}
	if extras, ok := table["extras"].([]any); ok {
		for _, extra := range extras {
			if text, ok := extra.(string); ok {
				e.extras = append(e.extras, text)
			}
		}
	}
	// One that an extra brings says so in its marker.
	optional, _ := table["optional"].(bool)
	return e, !optional || strings.Contains(e.marker, "extra")
}

// edgeOf returns the dependency that a requirement in the common form is.
func edgeOf(requirement string) edge {
	head, marker, _ := strings.Cut(requirement, ";")
	e := edge{name: NameOf(head), marker: strings.TrimSpace(marker)}
	if _, rest, ok := strings.Cut(head, "["); ok {
		extras, _, _ := strings.Cut(rest, "]")
		for extra := range strings.SplitSeq(extras, ",") {
			e.extras = append(e.extras, strings.TrimSpace(extra))
		}
	}
	return e
}
