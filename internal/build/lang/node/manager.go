package node

import (
	"context"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// manager is a tool that installs dependencies. Each lock is for its own: another
// would choose versions and sources anew.
type manager struct {
	name  string // of the program: npm, pnpm, yarn
	berry bool   // Yarn 2 or newer
}

// lockOf is a lock's name and who writes it.
type lockOf struct{ file, manager string }

func locks() []lockOf {
	return []lockOf{
		{"npm-shrinkwrap.json", "npm"}, {"package-lock.json", "npm"}, {"pnpm-lock.yaml", "pnpm"}, {"yarn.lock", "yarn"}, {"bun.lock", "bun"}, {"bun.lockb", "bun"},
	}
}

// chooseLock finds the lock of the project and the manager that reads it. Where
// several stand, the manifest's packageManager decides, then npm's own.
func (p *project) chooseLock(files fs.FS) error {
	known := locks()
	var root manifest
	if err := decode(manifestFile, p.manifestRaw, &root); err != nil {
		return err
	}
	wanted, _, _ := strings.Cut(root.PackageManager, "@")
	slices.SortStableFunc(known, func(a, b lockOf) int {
		switch {
		case a.manager == wanted && b.manager != wanted:
			return -1
		case b.manager == wanted && a.manager != wanted:
			return 1
		}
		return 0
	})
	p.manager.name = "npm"
	for _, lock := range known {
		raw, err := read(files, lock.file)
		if err != nil {
			return err
		}
		if raw == nil {
			continue
		}
		if lock.manager == "bun" {
			if !p.manifest.hasDependencies() {
				return nil
			}
			return fault.New(fault.Usage, "build.node", lock.file, "the layers builder does not install with Bun, and no other tool reads this lockfile").
				WithHint("write npm's own lock: npm install --package-lock-only; or build with a Dockerfile")
		}
		p.lockName, p.lockRaw, p.manager.name = lock.file, raw, lock.manager
		p.manager.berry = lock.manager == "yarn" && strings.Contains(string(raw), "\n__metadata:")
		return nil
	}
	return nil
}

// unlocked says that no lock chooses the versions that the build installs.
func (p *project) unlocked() *lang.Unlocked {
	installs := p.manifest.hasDependencies() || p.runs() && len(p.manifest.DevDependencies) > 0
	if p.lockName != "" || !installs {
		return nil
	}
	commands := map[string]lang.Unlocked{
		"pnpm": {Why: "there is no pnpm-lock.yaml", Command: "pnpm install --lockfile-only"},
		"yarn": {Why: "there is no yarn.lock", Command: "yarn install"},
	}
	wanted, _, _ := strings.Cut(p.manifest.PackageManager, "@")
	if found, ok := commands[wanted]; ok {
		return &found
	}
	return &lang.Unlocked{Why: "there is no package-lock.json", Command: "npm install --package-lock-only"}
}

// command returns the program of the manager and the arguments that come first.
func (m manager) command(lock string) ([]string, error) {
	if m.name == "npm" {
		tool, err := findNpm()
		return []string{tool}, err
	}
	if tool, err := exec.LookPath(m.name); err == nil {
		return []string{tool}, nil
	}
	if tool, err := exec.LookPath("corepack"); err == nil {
		return []string{tool, m.name}, nil
	}
	return nil, fault.New(fault.Conflict, "build.node", lock, "%s wrote this lock, and is not on this machine", m.name).
		WithHint("install it: npm install -g %s, or corepack enable\n%s", m.name, lang.WithoutToolchain)
}

// environ returns what the manager is told by variables: no questions, and
// node_modules as Node.js itself reads it.
func (m manager) environ(environ []string) []string {
	return lang.With(environ, "COREPACK_ENABLE_DOWNLOAD_PROMPT=0", "YARN_NODE_LINKER=node-modules", "YARN_ENABLE_TELEMETRY=0", "YARN_ENABLE_PROGRESS_BARS=0")
}

// version returns the manager's version, as it is in dir.
func (m manager) version(ctx context.Context, dir string, environ []string, lock string) (string, error) {
	command, err := m.command(lock)
	if err != nil {
		return "", err
	}
	out, err := lang.Run(ctx, dir, m.environ(environ), command[0], append(command[1:], "--version")...)
	if err != nil {
		return "", err
	}
	lines := strings.Fields(out)
	version := lines[max(len(lines)-1, 0):]
	if len(version) == 0 {
		return "", fault.New(fault.Conflict, "build.node", m.name, "it does not say its version")
	}
	if m.berry && strings.HasPrefix(version[0], "1.") {
		return "", fault.New(fault.Conflict, "build.node", lock, "Yarn 2 or newer wrote this lock, and this machine has Yarn %s", version[0]).
			WithHint("let the project bring its own: corepack enable, or yarn set version stable")
	}
	return version[0], nil
}

// settingsOf returns the files that a manager reads besides the manifest, the lock
// and .npmrc: its own settings, patches, and the manifests of workspaces.
func settingsOf(p *lang.Project, found *project) ([]layer.File, error) {
	if !found.manifest.hasDependencies() {
		return nil, nil
	}
	var local []string
	for line := range strings.FieldsSeq(strings.NewReplacer(`"`, " ", ",", " ").Replace(string(found.lockRaw))) {
		if name, ok := strings.CutPrefix(line, "file:"); ok {
			local = append(local, path.Clean(strings.TrimRight(name, ":")))
		}
	}
	text := string(found.lockRaw)
	nested := found.workspace != nil || len(found.manifest.Workspaces) > 0 || exists(p.Source.FS(), "pnpm-workspace.yaml") || strings.Contains(text, `"link": true`) || strings.Contains(text, "link:") || len(local) > 0
	files, err := p.Source.Walk(context.Background(), "", func(name string, dir bool) (out, prune bool) {
		base := path.Base(name)
		first, _, _ := strings.Cut(name, "/")
		switch {
		case base == modules || base == ".git" || base == ".kn-lite":
			return true, true
		case dir:
			return true, false
		case first == "patches", slices.Contains(local, name):
			return false, false
		case first == ".yarn":
			_, rest, _ := strings.Cut(name, "/")
			second, _, _ := strings.Cut(rest, "/")
			return !slices.Contains([]string{"releases", "plugins", "patches", "cache"}, second), false
		case slices.Contains([]string{"pnpm-workspace.yaml", ".pnpmfile.cjs", ".yarnrc", ".yarnrc.yml"}, name):
			return false, false
		}
		return !nested || base != manifestFile || name == manifestFile, false
	}, func(string) {})
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		if path.Base(f.Path) != manifestFile {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		raw, err := io.ReadAll(io.LimitReader(r, maxFile))
		if closeErr := r.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, err
		}
		if raw, err = withoutScripts(f.Path, raw); err != nil {
			raw = []byte("{}") // a file of that name that is no manifest, for a test
		}
		files[i] = layer.Bytes(f.Path, 0o644, raw)
	}
	return files, nil
}
