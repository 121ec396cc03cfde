package lockfile

import (
	"cmp"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

// Manifest is what is read of a pyproject.toml.
type Manifest struct {
	Project struct {
		Name           string   `toml:"name"`
		RequiresPython string   `toml:"requires-python"`
		Dependencies   []string `toml:"dependencies"`
		Dynamic        []string `toml:"dynamic"`
	} `toml:"project"`
	Tool struct {
		Uv struct {
			Sources map[string]any `toml:"sources"`
			Index   []Index        `toml:"index"`
			// The older spellings.
			IndexURL      string   `toml:"index-url"`
			ExtraIndexURL []string `toml:"extra-index-url"`
			FindLinks     []string `toml:"find-links"`
		} `toml:"uv"`
		Poetry struct {
			Dependencies map[string]any `toml:"dependencies"`
			Source       []Index        `toml:"source"`
		} `toml:"poetry"`
		Pdm struct {
			Source []Index `toml:"source"`
		} `toml:"pdm"`
		Setuptools struct {
			Dynamic struct {
				Dependencies struct {
					File any `toml:"file"`
				} `toml:"dependencies"`
			} `toml:"dynamic"`
		} `toml:"setuptools"`
	} `toml:"tool"`
}

// Index is an index of packages that a project names.
type Index struct {
	Name    string `toml:"name"`
	URL     string `toml:"url"`
	Format  string `toml:"format"` // uv: flat
	Type    string `toml:"type"`   // pdm: find_links
	Default bool   `toml:"default"`
}

// ReadManifest reads a project's pyproject.toml; without one, the manifest is empty.
func ReadManifest(files fs.FS) (*Manifest, error) {
	m := &Manifest{}
	raw, err := lang.ReadFile(files, "python", ProjectFile, maxFile)
	if err != nil || raw == nil {
		return m, err
	}
	return m, decodeTOML(ProjectFile, raw, m)
}

// Names returns the names of the packages that the project asks for, sorted.
// Those of extras and of groups are not among them.
func (m *Manifest) Names() []string {
	names := map[string]bool{}
	for _, requirement := range m.Project.Dependencies {
		names[NameOf(requirement)] = true
	}
	for name, value := range m.Tool.Poetry.Dependencies {
		table, _ := value.(map[string]any)
		if optional, _ := table["optional"].(bool); !optional && name != "python" {
			names[Normalise(name)] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// NameOf returns the normalised name of a requirement.
func NameOf(requirement string) string {
	return Normalise(regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*`).FindString(strings.TrimSpace(requirement)))
}

// Sources returns what the manifest says about where packages come from, and the
// command whose lock honours it; both are empty when it says nothing.
func (m *Manifest) Sources() (what, command string) {
	uv, poetry, pdm := m.Tool.Uv, m.Tool.Poetry, m.Tool.Pdm
	switch {
	case len(uv.Sources) > 0:
		return "[tool.uv.sources]", "uv lock"
	case len(uv.Index) > 0:
		return "[[tool.uv.index]]", "uv lock"
	case uv.IndexURL != "" || len(uv.ExtraIndexURL) > 0 || len(uv.FindLinks) > 0:
		return "the indexes of [tool.uv]", "uv lock"
	case len(poetry.Source) > 0:
		return "[[tool.poetry.source]]", "poetry lock"
	case len(pdm.Source) > 0:
		return "[[tool.pdm.source]]", "pdm lock"
	}
	return "", ""
}

// uvIndexes returns the addresses of the named indexes of uv.
func (m *Manifest) uvIndexes() map[string]string {
	out := map[string]string{}
	for _, index := range m.Tool.Uv.Index {
		out[cmp.Or(index.Name, index.URL)] = index.URL
	}
	return out
}

// isPage reports whether uv reads the index at address as one page of links.
func (m *Manifest) isPage(address string) bool {
	same := func(other string) bool {
		return strings.TrimSuffix(Redact(other), "/") == strings.TrimSuffix(address, "/")
	}
	return slices.ContainsFunc(m.Tool.Uv.Index, func(i Index) bool { return i.Format == "flat" && same(i.URL) }) ||
		slices.ContainsFunc(m.Tool.Uv.FindLinks, same)
}
