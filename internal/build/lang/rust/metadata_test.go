package rust

import (
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
)

// The crates of a program: neither what only runs when it is made nor what only
// its tests use.
func TestLinked(t *testing.T) {
	const text = `{"packages": [
	  {"id": "app", "name": "app", "version": "0.1.0", "source": null},
	  {"id": "a", "name": "a", "version": "1.0.0", "source": "registry+x", "targets": [{"kind": ["lib"]}]},
	  {"id": "b", "name": "b", "version": "2.0.0", "source": "registry+x"},
	  {"id": "derive", "name": "derive", "version": "1.0.0", "source": "registry+x", "targets": [{"kind": ["proc-macro"]}]},
	  {"id": "syn", "name": "syn", "version": "1.0.0", "source": "registry+x"},
	  {"id": "cc", "name": "cc", "version": "1.0.0", "source": "registry+x"},
	  {"id": "windows", "name": "windows", "version": "1.0.0", "source": "registry+x"}
	], "resolve": {"nodes": [
	  {"id": "app", "deps": [{"pkg": "a", "dep_kinds": [{"kind": null}]}, {"pkg": "cc", "dep_kinds": [{"kind": "build"}, {"kind": "dev"}]}]},
	  {"id": "a", "deps": [{"pkg": "b", "dep_kinds": [{"kind": "dev"}, {"kind": null}]}, {"pkg": "derive", "dep_kinds": [{"kind": null}]}]},
	  {"id": "b", "deps": [{"pkg": "a", "dep_kinds": [{"kind": null}]}]},
	  {"id": "derive", "deps": [{"pkg": "syn", "dep_kinds": [{"kind": null}]}]}
	]}}`
	m := &metadata{}
	if err := json.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range m.linked("app") {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "a app b" {
		t.Error(got)
	}
}

func TestPackages(t *testing.T) {
	needCargo(t)
	dir := t.TempDir()
	langtest.Write(t, dir, workspace("hello"))
	p := open(t, dir+"/app")
	plan, err := Language{}.Plan(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	packages, err := Language{}.Packages(t.Context(), p, plan, v1.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil || len(packages) != 0 {
		t.Errorf("the project's own packages are not dependencies: %v, %v", packages, err)
	}
}
