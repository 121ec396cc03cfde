package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	goruntime "runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// dependencies is the layer of node_modules. Its key is everything that npm's
// result depends on, so that an edit of the application does not run npm.
func dependencies(ctx context.Context, p *lang.Project, project *project, target lang.Target) (*lang.Layer, error) {
	staged, err := project.staged()
	if err != nil {
		return nil, err
	}
	install := &install{
		project: p, found: project, staged: staged, platform: target.Platform,
		libc: libcOf(target), scripts: runsHere(target),
	}
	key := sha256.New()
	fmt.Fprintf(key, "2 %s\n%s\n%s\n%s\n%v\n%d:", project.manager.name, target.Platform, target.BaseDigest, install.libc, install.scripts, len(staged))
	key.Write(staged)
	key.Write(project.lockRaw)
	if err := addFiles(key, project.settings); err != nil {
		return nil, err
	}
	if len(project.scripted) > 0 && install.scripts {
		// What a script compiles fits the host's Node only.
		version, err := install.nodeVersion(ctx)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(key, "\n%s", version)
		install.checkVersion(version, target.BaseConfig)
	}
	l := &lang.Layer{Name: "dependencies", From: "package.json, the lockfile, the base and the platform", Files: install.run}
	// Without a lockfile npm decides anew each time, but a process that is only
	// started again gets what it had.
	if project.lockName != "" || target.Local {
		l.Key = hex.EncodeToString(key.Sum(nil))
	}
	return l, nil
}

// runsHere reports whether what an install script compiles on this machine runs
// in the image.
func runsHere(target lang.Target) bool {
	return target.Local || goruntime.GOOS == target.Platform.OS && goruntime.GOARCH == target.Platform.Architecture && libcOf(target) == "glibc"
}

// libcOf is the base image's C library: musl where the name says Alpine.
func libcOf(target lang.Target) string {
	if strings.Contains(target.BaseRef, "alpine") {
		return "musl"
	}
	return "glibc"
}

// install is one run of npm.
type install struct {
	project  *lang.Project
	found    *project
	staged   []byte
	platform v1.Platform
	libc     string
	scripts  bool
}

func (i *install) nodeVersion(ctx context.Context) (string, error) {
	tool, err := lang.FindTool("node", "node", "install Node.js with npm from https://nodejs.org")
	if err != nil {
		return "", err
	}
	out, err := lang.Run(ctx, i.project.Dir, i.project.Environ, tool, "--version")
	return strings.TrimSpace(out), err
}

// checkVersion warns when compiled dependencies may not fit the image's Node.
func (i *install) checkVersion(host string, base *v1.Config) {
	if base == nil {
		return
	}
	image := lang.Lookup(base.Env, "NODE_VERSION")
	if image == "" || major(image) == major(host) {
		return
	}
	i.project.Report.Warn(fmt.Sprintf("%s may be compiled for this machine's Node %s, and the base image has Node %s",
		strings.Join(i.found.scripted, ", "), host, image))
}

func major(version string) string {
	number, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	return number
}

func findNpm() (string, error) {
	return lang.FindTool("node", "npm", "install Node.js with npm from https://nodejs.org")
}

// run installs into a folder of its own and lists what npm put there.
func (i *install) run(ctx context.Context) (files []layer.File, cleanup func() error, err error) {
	command, err := i.found.manager.command(i.found.lockName)
	if err != nil {
		return nil, nil, err
	}
	scratch, err := lang.NewScratch(filepath.Join(i.project.CacheDir, "node"), "install-*")
	if err != nil {
		return nil, nil, err
	}
	dir, cleanup := scratch.Dir, scratch.Close
	if err := i.stage(dir); err != nil {
		return nil, cleanup, err
	}
	if i.found.manager.name != "npm" {
		if _, err := i.found.manager.version(ctx, dir, i.project.Environ, i.found.lockName); err != nil {
			return nil, cleanup, err
		}
	}
	output, err := lang.Run(ctx, dir, i.found.manager.environ(i.project.Environ), command[0], append(command[1:], i.arguments()...)...)
	if err != nil {
		return nil, cleanup, i.explain(output, err)
	}
	if err := i.unchanged(dir); err != nil {
		return nil, cleanup, err
	}
	tree, err := scratch.Open("")
	if err != nil {
		return nil, cleanup, err
	}
	files, err = tree.Walk(ctx, home, onlyModules, i.project.Report.Warn)
	return files, cleanup, err
}

// stage gives the manager what it reads. The .npmrc may hold a token: it is for
// the manager and does not get into the layer.
func (i *install) stage(dir string) error {
	if err := lang.WriteFiles(dir, i.found.settings); err != nil {
		return err
	}
	for name, text := range map[string][]byte{manifestFile: i.staged, i.found.lockName: i.found.lockRaw, ".npmrc": i.found.npmrc} {
		if name == "" || text == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	if i.found.manager.berry && !i.scripts {
		return i.supportPlatform(filepath.Join(dir, ".yarnrc.yml"))
	}
	return nil
}

// supportPlatform lets Yarn take what is for the image's platform.
func (i *install) supportPlatform(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "\nsupportedArchitectures:\n  os: [%s]\n  cpu: [%s]\n  libc: [%s]\nenableScripts: false\n", i.platform.OS, cpu(i.platform), i.libc)
	return errors.Join(err, f.Close())
}

// unchanged refuses a lock that its manager has changed: where it has no option
// against that, it does so without a word.
func (i *install) unchanged(dir string) error {
	if i.found.lockName == "" || i.found.manager.name == "npm" {
		return nil
	}
	raw, err := regular.ReadFile(filepath.Join(dir, i.found.lockName))
	if err != nil || bytes.Equal(raw, i.found.lockRaw) {
		return err
	}
	return fault.New(fault.Build, "build.node", i.found.lockName, "it is out of date: %s would change it", i.found.manager.name).
		WithHint("run `%s install` and keep the result", i.found.manager.name)
}

// arguments are those of the installation without what only development needs.
func (i *install) arguments() []string {
	if !i.scripts && len(i.found.scripted) > 0 {
		i.project.Report.Warn(fmt.Sprintf("the install scripts of %s are not run: this machine cannot make binaries for %s (%s)",
			strings.Join(i.found.scripted, ", "), i.platform, i.libc))
	}
	foreign := []string{"--os=" + i.platform.OS, "--cpu=" + cpu(i.platform), "--libc=" + i.libc}
	var args []string
	switch {
	case i.found.manager.name == "pnpm":
		// Its programs would be scripts that name this machine's folders.
		args = []string{"install", "--prod", "--frozen-lockfile", "--config.prefer-symlinked-executables=true", "--config.extend-node-path=false"}
		if w := i.found.workspace; w != nil {
			args = append(args, "--filter", "{"+w.member+"}...")
		}
	case i.found.manager.berry:
		which := "--all"
		if w := i.found.workspace; w != nil && w.name != "" {
			which = w.name
		}
		return []string{"workspaces", "focus", which, "--production"}
	case i.found.manager.name == "yarn":
		args = []string{"install", "--production", "--frozen-lockfile", "--non-interactive", "--no-progress"}
		foreign = []string{"--ignore-platform"}
	default:
		args = []string{i.found.verb(), "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", "--install-links=false"}
		if w := i.found.workspace; w != nil {
			args = append(args, "--workspace", w.member)
		}
	}
	if !i.scripts {
		args = append(append(args, "--ignore-scripts"), foreign...)
	}
	return args
}

// verb is npm's for an installation: by the lock, or without one.
func (p *project) verb() string {
	if p.lockName == "" {
		return "install"
	}
	return "ci"
}

// cpu is Node's name of an architecture (process.arch).
func cpu(p v1.Platform) string {
	switch p.Architecture {
	case "amd64":
		return "x64"
	case "386":
		return "ia32"
	case "ppc64le":
		return "ppc64"
	}
	return p.Architecture
}

// onlyModules keeps node_modules, of workspaces too, without the records of the
// managers in them, which say where and when they ran.
func onlyModules(name string, dir bool) (out, prune bool) {
	base := path.Base(name)
	inside := strings.HasPrefix(name, modules+"/") || strings.Contains(name, "/"+modules+"/") || base == modules
	if !inside {
		return true, !dir
	}
	if path.Base(path.Dir(name)) == modules {
		switch base {
		case ".package-lock.json", ".cache", ".modules.yaml", ".yarn-integrity", ".yarn-state.yml", ".pnpm-workspace-state.json", ".pnpm-workspace-state-v1.json":
			return true, true
		}
	}
	return strings.HasSuffix(name, modules+"/.pnpm/lock.yaml"), false
}

// explain hands on npm's own words.
func (i *install) explain(output string, err error) error {
	if _, ran := errors.AsType[*exec.ExitError](err); !ran {
		return err
	}
	failure := fault.New(fault.Build, "build.node", i.project.Label, "%s could not install the dependencies\n%s", i.found.manager.name, strings.TrimRight(output, "\n"))
	if i.found.lockName != "" {
		return failure.WithHint("if %s and %s disagree, run `%s install` and keep the result", manifestFile, i.found.lockName, i.found.manager.name)
	}
	return failure
}
