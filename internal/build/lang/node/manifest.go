package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
)

const manifestFile = "package.json"

// maxFile bounds what is read of a manifest or lockfile.
const maxFile = 64 << 20

// manifest is what the build needs of a package.json.
type manifest struct {
	Main                 string            `json:"main"`
	Scripts              map[string]string `json:"scripts"`
	Dependencies         map[string]string `json:"dependencies"`
	OptionalDependencies map[string]string `json:"optionalDependencies"`
	Workspaces           json.RawMessage   `json:"workspaces"`
}

func (m *manifest) hasDependencies() bool {
	return len(m.Dependencies)+len(m.OptionalDependencies) > 0
}

// lockfile is what the build needs of a package-lock.json, versions 2 and 3.
type lockfile struct {
	Packages map[string]locked `json:"packages"`
}

type locked struct {
	Resolved         string `json:"resolved"`
	Link             bool   `json:"link"`
	Dev              bool   `json:"dev"`
	HasInstallScript bool   `json:"hasInstallScript"`
}

// project is what Plan finds out.
type project struct {
	manifest    manifest
	manifestRaw []byte
	lockName    string // "" when there is none
	lockRaw     []byte
	npmrc       []byte   // for the installation only; never in the image
	scripted    []string // dependencies that run a script when they are installed
	start       start
}

func inspect(p *lang.Project) (*project, error) {
	files := p.Source.FS()
	found := &project{}
	var err error
	if found.manifestRaw, err = read(files, manifestFile); err != nil {
		return nil, err
	}
	if found.manifestRaw == nil {
		return nil, fault.New(fault.Usage, "build.node", p.Label, "there is no %s in this folder", manifestFile).
			WithHint("make one: npm init -y")
	}
	if err := decode(manifestFile, found.manifestRaw, &found.manifest); err != nil {
		return nil, err
	}
	if len(found.manifest.Workspaces) > 0 {
		return nil, fault.New(fault.Usage, "build.node", manifestFile, "the layers builder does not know npm workspaces").
			WithHint("name the folder of one workspace that has a package-lock.json of its own: kn-lite build DIR")
	}
	if found.npmrc, err = read(files, ".npmrc"); err != nil {
		return nil, err
	}
	for _, name := range []string{"npm-shrinkwrap.json", "package-lock.json"} {
		if found.lockRaw, err = read(files, name); err != nil {
			return nil, err
		}
		if found.lockRaw != nil {
			found.lockName = name
			break
		}
	}
	if err := found.checkLock(files); err != nil {
		return nil, err
	}
	found.start, err = startOf(&found.manifest, files)
	return found, err
}

// checkLock refuses what npm could only install with the rest of the project
// beside it, and finds the dependencies that bring install scripts.
func (p *project) checkLock(files fs.FS) error {
	if p.lockName == "" {
		for _, other := range []string{"yarn.lock", "pnpm-lock.yaml", "bun.lock"} {
			if _, err := fs.Stat(files, other); err == nil && p.manifest.hasDependencies() {
				return fault.New(fault.Usage, "build.node", other, "the layers builder installs with npm, which cannot read this lockfile").
					WithHint("add npm's own: npm install --package-lock-only")
			}
		}
		return nil
	}
	var lock lockfile
	if err := decode(p.lockName, p.lockRaw, &lock); err != nil {
		return err
	}
	for name, entry := range lock.Packages {
		if name == "" || entry.Dev {
			continue
		}
		if entry.Link || strings.HasPrefix(entry.Resolved, "file:") {
			return fault.New(fault.Usage, "build.node", p.lockName, "the dependency %s is a folder or file of this machine", strings.TrimPrefix(name, "node_modules/")).
				WithHint("publish it to a registry, or make it part of the application and load it by its path")
		}
		if entry.HasInstallScript {
			p.scripted = append(p.scripted, strings.TrimPrefix(name, "node_modules/"))
		}
	}
	slices.Sort(p.scripted)
	return nil
}

// staged is the package.json that npm sees: the project's own without the
// scripts that npm would run around an installation. They belong to the
// application, which is not there.
func (p *project) staged() ([]byte, error) {
	var all map[string]json.RawMessage
	if err := decode(manifestFile, p.manifestRaw, &all); err != nil {
		return nil, err
	}
	delete(all, "scripts")
	return json.Marshal(all)
}

// read is the content of a file of the project, nil when there is none.
func read(files fs.FS, name string) ([]byte, error) {
	return lang.ReadFile(files, "node", name, maxFile)
}

// decode reads JSON and names line and column of a mistake.
func decode(name string, raw []byte, into any) error {
	err := json.Unmarshal(raw, into)
	if err == nil {
		return nil
	}
	subject := name
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		subject = position(name, raw, e.Offset)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		subject = position(name, raw, e.Offset)
	}
	return &fault.Error{Op: "build.node", Kind: fault.Usage, Subject: subject, Err: err}
}

func position(name string, raw []byte, offset int64) string {
	before := string(raw[:min(max(offset-1, 0), int64(len(raw)))])
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndex(before, "\n")
	return fmt.Sprintf("%s:%d:%d", name, line, column)
}
