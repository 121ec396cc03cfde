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
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

//go:embed target_pip.py
var pipProgram string

//go:embed serve.py
var serveProgram string

//go:embed server.txt
var serverRequirements []byte

// targetVersion is MAJOR.MINOR of the image's Python: what the official images
// say in their environment, else this machine's own.
func targetVersion(ctx context.Context, p *lang.Project, target lang.Target) (string, error) {
	if target.BaseConfig != nil {
		if parts := strings.Split(lang.Lookup(target.BaseConfig.Env, "PYTHON_VERSION"), "."); len(parts) >= 2 {
			return parts[0] + "." + parts[1], nil
		}
	}
	tool, err := findPython()
	if err != nil {
		return "", err
	}
	out, err := lang.Run(ctx, p.Dir, p.Environ, tool, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
	if err != nil {
		return "", err
	}
	version := strings.TrimSpace(out)
	p.Report.Warn(fmt.Sprintf("the base image %s does not say which Python it has in PYTHON_VERSION: the dependencies are for %s, as this machine's", target.BaseRef, version))
	return version, nil
}

func findPython() (string, error) {
	return lang.FindTool("python", "python3", "install Python with pip from https://www.python.org/downloads")
}

// install is one run of pip.
type install struct {
	project      *lang.Project
	requirements []byte
	from         string // what the requirements are called
	platform     v1.Platform
	musl         bool
	version      string // MAJOR.MINOR
	into         string // folder in the image
}

func newInstall(p *lang.Project, target lang.Target, version string) *install {
	return &install{project: p, platform: target.Platform, version: version, musl: strings.Contains(target.BaseRef, "alpine")}
}

// key is everything that pip's result depends on when all versions are pinned.
func (i *install) key() string {
	h := sha256.New()
	fmt.Fprintf(h, "1\n%s\n%v\n%s\n%s\n", i.platform, i.musl, i.version, i.into)
	h.Write(i.requirements)
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

func dependencyLayer(p *lang.Project, found *project, target lang.Target, version string) lang.Layer {
	i := newInstall(p, target, version)
	i.requirements, i.from, i.into = found.text, found.from, dependencies
	l := lang.Layer{Name: "dependencies", Files: func(ctx context.Context) ([]layer.File, func() error, error) {
		if !found.pinned {
			p.Report.Warn(fmt.Sprintf("%s leaves versions open: pip chooses them now, and another build may get others; pin them with pip freeze", found.from))
		}
		return i.run(ctx)
	}}
	if found.pinned {
		l.Key = i.key()
	}
	return l
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
	dir, cleanup := scratch.Dir, scratch.Close
	const wheels = "files" // the subfolder that pip installs into
	list, into := filepath.Join(dir, requirementsFile), filepath.Join(dir, wheels)
	if err := errors.Join(os.Mkdir(into, 0o755), os.WriteFile(list, i.requirements, 0o600)); err != nil {
		return nil, cleanup, err
	}
	arguments, err := i.arguments(list, into)
	if err != nil {
		return nil, cleanup, err
	}
	// The folder that pip works in is not the project's: a file of that could
	// stand in for a module of pip's.
	output, err := lang.Run(ctx, dir, i.project.Environ, tool, arguments...)
	if err != nil {
		return nil, cleanup, i.explain(output, err)
	}
	tree, err := scratch.Open(wheels)
	if err != nil {
		return nil, cleanup, err
	}
	files, err = tree.Walk(ctx, i.into, useless, i.project.Report.Warn)
	if err != nil {
		return nil, cleanup, err
	}
	files, err = i.normalise(into, files)
	return files, cleanup, err
}

func (i *install) arguments(list, into string) ([]string, error) {
	markers, err := json.Marshal(map[string]string{
		"python_version": i.version, "python_full_version": i.version + ".0",
		"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine(i.platform),
		"implementation_name": "cpython", "platform_python_implementation": "CPython",
	})
	if err != nil {
		return nil, err
	}
	// -I: neither PYTHONPATH nor the folder changes what pip is.
	args := []string{
		"-I", "-c", pipProgram, string(markers), "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--quiet",
		"--no-compile", "--no-user", "--no-warn-script-location", "--root-user-action=ignore", "--ignore-installed", "--only-binary=:all:",
		"--implementation=cp", "--python-version=" + i.version, "--target=" + into, "--requirement=" + list,
	}
	for _, tag := range tags(i.platform, i.musl) {
		args = append(args, "--platform="+tag)
	}
	return args, nil
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

// explain hands on pip's own words, and names what has no wheel.
func (i *install) explain(output string, err error) error {
	if _, ran := errors.AsType[*exec.ExitError](err); !ran {
		return err
	}
	words := strings.TrimRight(output, "\n")
	// pip says it in no other form.
	if found := regexp.MustCompile(`No matching distribution found for (\S+)`).FindStringSubmatch(output); found != nil {
		return fault.New(fault.Build, "build.python", i.from, "%s has no wheel for Python %s on %s\n%s", found[1], i.version, i.platform, words).
			WithHint("if it is a typing mistake, correct it; if there is only its source, make a wheel on such a machine and let pip find it:\n  pip wheel %s -w wheels && PIP_FIND_LINKS=$PWD/wheels kn-lite build", found[1])
	}
	return fault.New(fault.Build, "build.python", i.from, "pip could not install the dependencies\n%s", words)
}
