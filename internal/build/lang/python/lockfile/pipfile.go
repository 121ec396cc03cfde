package lockfile

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// pipfileLock is what is read of a Pipfile.lock.
type pipfileLock struct {
	Meta struct {
		Requires map[string]string `json:"requires"`
		Sources  []struct {
			Name string `json:"name"`
			URL  string `json:"url"`
		} `json:"sources"`
	} `json:"_meta"`
	Default map[string]struct {
		Version string   `json:"version"`
		Hashes  []string `json:"hashes"`
		Markers string   `json:"markers"`
		Index   string   `json:"index"`
		File    string   `json:"file"`
		Path    string   `json:"path"`
		Git     string   `json:"git"`
		Hg      string   `json:"hg"`
		Svn     string   `json:"svn"`
	} `json:"default"`
}

func readPipfile(l *Lock, _ *Manifest) error {
	var file pipfileLock
	if err := json.Unmarshal(l.Raw, &file); err != nil {
		return &fault.Error{Op: "build.python", Kind: fault.Usage, Subject: l.File, Err: err}
	}
	if wanted := file.Meta.Requires["python_version"]; wanted != "" {
		l.Python = Requires("==" + wanted + ".*")
	}
	var first string // the source of packages that name none
	for i, s := range file.Meta.Sources {
		l.Indexes[s.Name] = s.URL
		if i == 0 {
			first = s.Name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(file.Default)) {
		p := file.Default[name]
		n := &node{Package: Package{Name: Normalise(name), Version: strings.TrimLeft(p.Version, "= "), Hashes: p.Hashes}}
		switch repository := cmp.Or(p.Git, p.Hg, p.Svn); {
		case repository != "":
			n.fromRepository("version control", repository)
		case p.Path != "" && !strings.HasSuffix(p.Path, ".whl"):
			n.fromFolder(p.Path)
		case p.Path != "" || p.File != "":
			n.fromFile(cmp.Or(p.Path, p.File))
		default:
			n.fromIndex(l.Indexes[cmp.Or(p.Index, first)])
		}
		l.nodes = append(l.nodes, n)
		l.roots = append(l.roots, edge{name: n.Name, node: n, marker: p.Markers})
	}
	return nil
}
