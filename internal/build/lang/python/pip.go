package python

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/python/lockfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/regular"
)

//go:embed target_pip.py
var pipProgram string

//go:embed serve.py
var serveProgram string

//go:embed server.txt
var serverRequirements []byte

// targetVersion returns the version of the image's Python: what the official images
// say in their environment, else this machine's own.
func targetVersion(ctx context.Context, p *lang.Project, target lang.Target) (string, error) {
	if !target.Local && target.BaseConfig != nil {
		if version := lang.Lookup(target.BaseConfig.Env, "PYTHON_VERSION"); strings.Contains(version, ".") {
			return version, nil
		}
	}
	version, err := askPython(ctx, p, "'%d.%d.%d' % sys.version_info[:3]")
	if err != nil {
		return "", err
	}
	if target.Local {
		return version, nil
	}
	p.Report.Warn(fmt.Sprintf("the base image %s does not say which Python it has in PYTHON_VERSION: the dependencies are for %s, as this machine's", target.BaseRef, majorMinor(version)))
	return version, nil
}

// askPython returns what an expression of this machine's Python is.
func askPython(ctx context.Context, p *lang.Project, expression string) (string, error) {
	tool, err := findPython()
	if err != nil {
		return "", err
	}
	return p.Answers.Get(tool+" "+expression, func() (string, error) {
		out, err := lang.Run(ctx, p.Dir, p.Environ, tool, "-c", "import sys; print("+expression+")")
		return strings.TrimSpace(out), err
	})
}

var _ lang.Locator = Language{}

// Locate implements lang.Locator.
func (Language) Locate(ctx context.Context, p *lang.Project, program string) (string, error) {
	if program != "python3" && program != "python" {
		return program, nil
	}
	return askPython(ctx, p, "sys.executable")
}

// majorMinor returns the first two numbers of a version.
func majorMinor(version string) string {
	if parts := strings.Split(version, "."); len(parts) > 2 {
		return parts[0] + "." + parts[1]
	}
	return version
}

func findPython() (string, error) {
	return lang.FindTool("python", "python3", "install Python with pip from https://www.python.org/downloads")
}

// install is one run of pip.
type install struct {
	project      *lang.Project
	requirements []byte
	constraints  []byte
	complete     bool // nothing is installed but what is listed
	lock         *lockfile.Lock
	indexes      map[string][]string // package → the pages that list its files; "" stands for pip's own
	unhashed     []string            // requirements of a lock without checksums
	credentials  *credentials
	from         string // what the requirements are called
	platform     v1.Platform
	local        bool // for this machine's own Python
	musl         bool
	version      string // of Python
	into         string // folder in the image
}

func newInstall(p *lang.Project, target lang.Target, version string) *install {
	return &install{
		project: p, platform: target.Platform, local: target.Local, version: version, musl: strings.Contains(target.BaseRef, "alpine"),
		credentials: newCredentials(p, nil),
	}
}

// key returns a digest of everything that pip's result depends on when all
// versions are pinned. Users and passwords do not count.
func (i *install) key() string {
	h := sha256.New()
	fmt.Fprintf(h, "2\n%s\n%v\n%s\n%s\n%v\n", i.platform, i.musl, majorMinor(i.version), i.into, i.complete)
	if i.local {
		fmt.Fprintln(h, "for this machine")
	}
	for _, text := range [][]byte{i.requirements, i.constraints, []byte(strings.Join(i.unhashed, "\n"))} {
		fmt.Fprintf(h, "%d:%s\n", len(text), text)
	}
	for _, name := range slices.Sorted(maps.Keys(i.indexes)) {
		for _, location := range i.indexes[name] {
			fmt.Fprintf(h, "%s %s\n", name, lockfile.Redact(location))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// serverLayer is what serves a function: the same in every image.
func serverLayer(p *lang.Project, target lang.Target, version string) lang.Layer {
	i := newInstall(p, target, version)
	i.requirements, i.from, i.into = serverRequirements, "kn-lite's server", server+"/lib"
	sum := sha256.Sum256([]byte(serveProgram))
	return lang.Layer{
		Name: "server", Key: i.key() + hex.EncodeToString(sum[:]),
		Files: func(ctx context.Context) ([]layer.File, func() error, error) {
			files, cleanup, err := i.run(ctx)
			return append(files, layer.Bytes(server+"/serve.py", 0o644, []byte(serveProgram))), cleanup, err
		},
	}
}

func dependencyLayer(p *lang.Project, found *project, target lang.Target, version string) (lang.Layer, error) {
	i := newInstall(p, target, version)
	i.credentials = newCredentials(p, found.lock)
	i.from, i.into = found.from, dependencies
	l := lang.Layer{Name: "dependencies", From: found.from + ", the base's Python and the platform"}
	if found.lock != nil {
		if err := i.useLock(found.lock); err != nil {
			return l, err
		}
	} else {
		i.requirements = []byte(strings.Join(found.requirements, "\n") + "\n")
		i.constraints = []byte(strings.Join(found.constraints, "\n"))
	}
	l.Files = func(ctx context.Context) ([]layer.File, func() error, error) {
		return i.run(ctx)
	}
	sum, err := found.localSum(p)
	// What is only started again gets what it had.
	if found.pinned || target.Local {
		l.Key = i.key() + sum
	}
	return l, err
}

// run installs into a folder of its own and lists what pip put there.
func (i *install) run(ctx context.Context) (files []layer.File, cleanup func() error, err error) {
	tool, err := findPython()
	if err != nil {
		return nil, nil, err
	}
	scratch, err := lang.NewScratch(filepath.Join(i.project.CacheDir, "python"), "install-*")
	if err != nil {
		return nil, nil, err
	}
	const wheels = "files" // the subfolder that pip installs into
	into := filepath.Join(scratch.Dir, wheels)
	if err := errors.Join(os.Mkdir(into, 0o755), i.install(ctx, tool, scratch.Dir, into)); err != nil {
		return nil, scratch.Close, err
	}
	tree, err := scratch.Open(wheels)
	if err != nil {
		return nil, scratch.Close, err
	}
	files, err = tree.Walk(ctx, i.into, useless, i.project.Report.Warn)
	if err != nil {
		return nil, scratch.Close, err
	}
	files, err = i.normalise(into, files)
	return append(files, i.site(files)...), scratch.Close, err
}

// site makes the dependencies a site folder of the image's Python where one of
// them has a .pth file: it is part of the user's own place for packages.
func (i *install) site(files []layer.File) []layer.File {
	if i.into != dependencies || !slices.ContainsFunc(files, func(f layer.File) bool {
		return path.Dir(f.Path) == dependencies && path.Ext(f.Path) == ".pth"
	}) {
		return nil
	}
	return []layer.File{layer.Symlink(path.Join(userBase, "lib", "python"+majorMinor(i.version), "site-packages"), "../../../../"+dependencies)}
}

// install lets pip put the requirements into a folder; dir is for what pip reads.
func (i *install) install(ctx context.Context, tool, dir, into string) error {
	settings, err := i.settings()
	if err != nil {
		return err
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, settingsFile), raw, 0o600); err != nil {
		return err
	}
	more, err := i.download(ctx, tool, dir)
	if err != nil {
		return err
	}
	list, limits := filepath.Join(dir, requirementsFile), filepath.Join(dir, "constraints.txt")
	if err := errors.Join(os.WriteFile(list, []byte(i.staged(string(i.requirements)+more)), 0o600), os.WriteFile(limits, i.constraints, 0o600)); err != nil {
		return err
	}
	args := []string{
		"--no-compile", "--no-user", "--no-warn-script-location", "--root-user-action=ignore", "--ignore-installed",
		"--target=" + into, "--requirement=" + list, "--constraint=" + limits,
	}
	if i.complete {
		args = append(args, "--no-deps")
	}
	return i.pip(ctx, tool, dir, "install", args...)
}

// settingsFile is what target_pip.py reads, in the folder that pip runs in.
const settingsFile = "settings.json"

// pip runs pip for the image's Python. The folder that it works in is not the
// project's: a file of that could stand in for a module of pip's.
func (i *install) pip(ctx context.Context, tool, dir, verb string, more ...string) error {
	// -I: neither PYTHONPATH nor the folder changes what pip is.
	args := []string{
		"-I", "-c", pipProgram, filepath.Join(dir, settingsFile), verb, "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--quiet",
	}
	if !i.local {
		args = append(args, "--only-binary=:all:", "--implementation=cp", "--python-version="+majorMinor(i.version))
		for _, tag := range tags(i.platform, i.musl) {
			args = append(args, "--platform="+tag)
		}
	}
	output, err := lang.Run(ctx, dir, i.project.Environ, tool, append(args, more...)...)
	if err != nil {
		return i.explain(i.credentials.hide(output), err)
	}
	return nil
}

// machine is Linux's name of an architecture (uname -m).
func machine(p v1.Platform) string {
	switch p.Architecture {
	case "amd64":
		return "x86_64"
	case "386":
		return "i686"
	case "arm64":
		return "aarch64"
	case "arm":
		return "armv7l"
	}
	return p.Architecture
}

// tags are the platforms whose wheels run in the image, the best first. glibc
// 2.28 is what every base that is still maintained has at least
// (https://peps.python.org/pep-0600, https://peps.python.org/pep-0656).
func tags(p v1.Platform, musl bool) []string {
	var out []string
	if musl {
		for minor := 2; minor >= 1; minor-- {
			out = append(out, fmt.Sprintf("musllinux_1_%d_%s", minor, machine(p)))
		}
		return out
	}
	older := map[int]string{17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
	for minor := 28; minor >= 5; minor-- {
		out = append(out, fmt.Sprintf("manylinux_2_%d_%s", minor, machine(p)))
		if name, ok := older[minor]; ok && (minor == 17 || p.Architecture == "amd64" || p.Architecture == "386") {
			out = append(out, name+"_"+machine(p))
		}
	}
	return out
}

// useless leaves out what pip writes about where and how it ran.
func useless(name string, dir bool) (out, prune bool) {
	base := path.Base(name)
	return base == "__pycache__" || strings.HasSuffix(base, ".pyc") || base == "direct_url.json" && strings.Contains(name, ".dist-info/"), dir
}

// normalise makes of pip's files what they are on every machine: scripts find
// the image's Python, not this one's, and the records do not list what is gone.
func (i *install) normalise(into string, files []layer.File) ([]layer.File, error) {
	for n, f := range files {
		rel := strings.TrimPrefix(f.Path, i.into+"/")
		script, record := strings.HasPrefix(rel, "bin/") && f.Mode.IsRegular(), strings.HasSuffix(rel, ".dist-info/RECORD")
		if !script && !record {
			continue
		}
		text, err := regular.ReadFile(filepath.Join(into, filepath.FromSlash(rel)))
		if err != nil {
			return nil, err
		}
		if record {
			text = cleanRecord(text)
		} else if rest, ok := afterInterpreter(text); ok {
			text = append([]byte("#!/usr/bin/env python3\n"), rest...)
		}
		files[n] = layer.Bytes(f.Path, f.Mode.Perm(), text)
	}
	return files, nil
}

// afterInterpreter is a script without the line that says which Python runs it,
// in either of the forms that pip writes: #!PATH, or a shell's exec for paths
// that are too long for that.
func afterInterpreter(text []byte) ([]byte, bool) {
	first, rest, ok := bytes.Cut(text, []byte("\n"))
	if ok && bytes.Equal(bytes.TrimSpace(first), []byte("#!/bin/sh")) && bytes.HasPrefix(rest, []byte("'''exec'")) {
		if _, after, found := bytes.Cut(rest, []byte("\n' '''\n")); found {
			return after, true
		}
	}
	return rest, ok && bytes.HasPrefix(first, []byte("#!")) && bytes.Contains(first, []byte("python"))
}

// cleanRecord is a RECORD with the files that are the same everywhere.
func cleanRecord(text []byte) []byte {
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\r\n", "\n")) {
		name, _, _ := strings.Cut(line, ",")
		if strings.HasPrefix(name, "../") || strings.HasSuffix(name, ".pyc") || strings.HasSuffix(name, "/direct_url.json") {
			continue
		}
		lines = append(lines, strings.TrimSuffix(line, "\n")+"\n")
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}
