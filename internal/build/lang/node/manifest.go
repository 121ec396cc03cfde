package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
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
	PeerDependencies     map[string]string `json:"peerDependencies"`
	DevDependencies      map[string]string `json:"devDependencies"`
	PackageManager       string            `json:"packageManager"`
	Workspaces           json.RawMessage   `json:"workspaces"`
}

func (m *manifest) hasDependencies() bool {
	return len(m.Dependencies)+len(m.OptionalDependencies)+len(m.PeerDependencies) > 0 || len(m.Workspaces) > 0
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
	Bin              any    `json:"bin"`
}

// programs returns the names of the programs that a package brings.
func (l locked) programs(name string) []string {
	table, _ := l.Bin.(map[string]any)
	if _, one := l.Bin.(string); one {
		return []string{path.Base(name)}
	}
	return slices.Collect(maps.Keys(table))
}

func there(files fs.FS, name string) bool {
	_, err := fs.Stat(files, name)
	return err == nil
}

// project is what Plan finds out.
type project struct {
	manifest    manifest
	manifestRaw []byte
	lockName    string // "" when there is none
	lockRaw     []byte
	npmrc       []byte       // for the installation only; never in the image
	manager     manager      // that installs the dependencies
	settings    []layer.File // what it reads besides the manifest, the lock and .npmrc
	devPackages []string     // folders of packages that only development has, where the lock says it
	devPrograms []string     // programs of packages that only development has
	scripted    []string     // dependencies that run a script when they are installed
	start       start
	workspace   *workspace // that the project is a package of; nil when it is none
}

// inspect reads what decides how a project is built.
func inspect(ctx context.Context, p *lang.Project) (*project, error) {
	found := &project{}
	err := found.inspect(ctx, p)
	if err != nil {
		return nil, errors.Join(err, found.Close())
	}
	return found, nil
}

func (p *project) inspect(ctx context.Context, of *lang.Project) (err error) {
	own, err := read(of.Source.FS(), manifestFile)
	if err != nil {
		return err
	}
	if own == nil {
		return fault.New(fault.Usage, "build.node", of.Label, "there is no %s in this folder", manifestFile).
			WithHint("make one: npm init -y")
	}
	if err := decode(manifestFile, own, &p.manifest); err != nil {
		return err
	}
	if p.workspace, err = findWorkspace(ctx, of); err != nil {
		return err
	}
	// Where there is a workspace, its root has what the installation reads.
	root := p.at(of)
	files := root.Source.FS()
	if p.manifestRaw, err = read(files, manifestFile); err != nil {
		return err
	}
	if p.manifestRaw == nil {
		p.manifestRaw = []byte("{}") // pnpm needs none at the root
	}
	if p.npmrc, err = read(files, ".npmrc"); err != nil {
		return err
	}
	if err := p.chooseLock(files); err != nil {
		return err
	}
	if err := p.checkLock(files); err != nil {
		return err
	}
	if p.settings, err = settingsOf(root, p); err != nil {
		return err
	}
	p.start, err = p.chooseStart(of.Source.FS())
	return err
}

// checkLock refuses what npm could only install from outside of the project, and
// finds the dependencies that bring install scripts.
func (p *project) checkLock(files fs.FS) error {
	if p.manager.name != "npm" || p.lockName == "" {
		return nil
	}
	var lock lockfile
	if err := decode(p.lockName, p.lockRaw, &lock); err != nil {
		return err
	}
	var programs []string // of packages that are in the image
	for name, entry := range lock.Packages {
		if name == "" || entry.Dev {
			if entry.Dev {
				p.devPackages = append(p.devPackages, name)
				p.devPrograms = append(p.devPrograms, entry.programs(name)...)
			}
			continue
		}
		programs = append(programs, entry.programs(name)...)
		local, isFile := strings.CutPrefix(entry.Resolved, "file:")
		if local = path.Clean(local); (entry.Link || isFile) && (strings.HasPrefix(local, "../") || path.IsAbs(local) || !there(files, local)) {
			return fault.New(fault.Usage, "build.node", p.lockName, "the dependency %s is a folder or file of this machine, outside of the project", strings.TrimPrefix(name, "node_modules/")).
				WithHint("build the folder that holds both, publish it to a registry, or make it part of the application and load it by its path")
		}
		if entry.HasInstallScript {
			p.scripted = append(p.scripted, strings.TrimPrefix(name, "node_modules/"))
		}
	}
	slices.Sort(p.scripted)
	p.devPrograms = slices.DeleteFunc(p.devPrograms, func(name string) bool { return slices.Contains(programs, name) })
	return nil
}

// staged is the package.json that npm sees: the project's own without the
// scripts that npm would run around an installation. They belong to the
// application, which is not there.
func (p *project) staged() ([]byte, error) { return withoutScripts(manifestFile, p.manifestRaw) }

func withoutScripts(name string, raw []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := decode(name, raw, &all); err != nil {
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
