package rust

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/cargo"
	"github.com/kn-lite/kn-lite/internal/fault"
)

var _ lang.Lister = Language{}

// metadata is what cargo says about a project
// (https://doc.rust-lang.org/cargo/commands/cargo-metadata.html).
type metadata struct {
	Packages []pkg
	Resolve  struct{ Nodes []node }
}

// pkg is a package as cargo describes it.
type pkg struct {
	ID, Name, Version string
	Source            string // "" for one that stands in a folder
	Manifest          string `json:"manifest_path"`
	Targets           []struct{ Kind []string }
}

func (p pkg) dir() string { return filepath.Dir(p.Manifest) }

// macros reports whether the package runs while others are compiled, and is in no
// program.
func (p pkg) macros() bool {
	return slices.ContainsFunc(p.Targets, func(t struct{ Kind []string }) bool { return slices.Contains(t.Kind, "proc-macro") })
}

// scripted reports whether the package has a build script.
func (p pkg) scripted() bool {
	return slices.ContainsFunc(p.Targets, func(t struct{ Kind []string }) bool { return slices.Contains(t.Kind, "custom-build") })
}

// node is a package's place among the others.
type node struct {
	ID   string
	Deps []struct {
		Package string                  `json:"pkg"`
		Kinds   []struct{ Kind string } `json:"dep_kinds"` // "" for a dependency of the program
	}
}

// metadata is about all that the program may be made of. Cargo fetches it for
// this.
func (c *compilation) metadata(ctx context.Context) (*metadata, error) {
	output, err := lang.Run(ctx, c.project.Dir, lang.With(c.project.Environ, c.environ()...), c.toolchain.tool,
		"metadata", "--quiet", "--format-version=1", "--locked", "--filter-platform="+c.target.triple)
	if err != nil {
		return nil, c.explain(output, err)
	}
	at := strings.Index("\n"+output, "\n{") // after what cargo and rustup have to say
	if at < 0 {
		return nil, fault.New(fault.Build, "build.rust", c.project.Label, "cargo does not describe the project\n%s", output)
	}
	answer := &metadata{}
	return answer, json.NewDecoder(strings.NewReader(output[at:])).Decode(answer)
}

// explain hands on cargo's own words about the project and its dependencies.
func (c *compilation) explain(output string, err error) error {
	if _, ran := errors.AsType[*exec.ExitError](err); !ran {
		return err
	}
	words := strings.TrimRight(output, "\n")
	failure := fault.New(fault.Build, "build.rust", c.project.Label, "cargo cannot gather what the program is made of\n%s", words)
	if strings.Contains(words, "--locked") {
		return failure.WithHint("bring Cargo.lock up to date and keep it with the code: cargo check")
	}
	return failure
}

// Packages implements lang.Lister: the crates that the program is linked with.
func (Language) Packages(ctx context.Context, p *lang.Project, plan *lang.Plan, platform v1.Platform) ([]attest.Package, error) {
	found, ok := plan.Detail.(*cargo.Project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	c, err := newCompilation(ctx, p, found, platform)
	if err != nil {
		return nil, err
	}
	answer, err := c.metadata(ctx)
	if err != nil {
		return nil, err
	}
	sums, err := cargo.Checksums(c.found.Root)
	if err != nil {
		return nil, err
	}
	var out []attest.Package
	for _, p := range answer.linked(found.Package) {
		if p.Source == "" {
			continue // the project's own code
		}
		crate := attest.Crate(p.Name, p.Version)
		crate.Found = binary
		if sum := sums[p.Name+"@"+p.Version]; sum != "" {
			crate.Checksums = []attest.Checksum{{Algorithm: "SHA256", Value: sum}}
		}
		out = append(out, crate)
	}
	return out, nil
}

// linked are the packages in the program of a package of the project.
func (m *metadata) linked(program string) []pkg {
	packages, nodes := map[string]pkg{}, map[string]node{}
	var next []string
	for _, p := range m.Packages {
		packages[p.ID] = p
		if p.Source == "" && p.Name == program {
			next = append(next, p.ID)
		}
	}
	for _, n := range m.Resolve.Nodes {
		nodes[n.ID] = n
	}
	var out []pkg
	seen := map[string]bool{}
	for len(next) > 0 {
		p := packages[next[0]]
		next = next[1:]
		if seen[p.ID] || p.macros() {
			continue
		}
		seen[p.ID] = true
		out = append(out, p)
		for _, d := range nodes[p.ID].Deps {
			if slices.ContainsFunc(d.Kinds, func(k struct{ Kind string }) bool { return k.Kind == "" }) {
				next = append(next, d.Package)
			}
		}
	}
	slices.SortFunc(out, func(a, b pkg) int { return strings.Compare(a.Name+"@"+a.Version, b.Name+"@"+b.Version) })
	return out
}
