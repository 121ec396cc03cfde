package python

import (
	"io/fs"
	"regexp"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/python/lockfile"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// pythonRequirement is what a file of the project says about Python's version.
type pythonRequirement struct {
	file, key string
	lockfile.Requirement
}

// pythonRequirements returns what the manifests of the project require of
// Python. Locks say it for themselves.
func (p *project) pythonRequirements(files fs.FS) ([]pythonRequirement, error) {
	var out []pythonRequirement
	if wanted := p.manifest.Project.RequiresPython; wanted != "" {
		out = append(out, pythonRequirement{projectFile, "requires-python", lockfile.Requires(wanted)})
	}
	if wanted, ok := p.manifest.Tool.Poetry.Dependencies["python"].(string); ok {
		out = append(out, pythonRequirement{projectFile, "python in [tool.poetry.dependencies]", lockfile.RequiresPoetry(wanted)})
	}
	// setup.py is a program, which may also work it out; then nothing is known.
	for _, file := range []string{setupConfig, setupFile} {
		text, err := read(files, file)
		if err != nil {
			return nil, err
		}
		if found := regexp.MustCompile(`(?m)^\s*python_requires\s*=\s*["']?([^"'#\n]+?)["']?\s*,?\s*$`).FindSubmatch(text); found != nil {
			out = append(out, pythonRequirement{file, "python_requires", lockfile.Requires(string(found[1]))})
		}
	}
	return out, nil
}

// checkPython refuses a base image whose Python the project excludes.
func (p *project) checkPython(files fs.FS, version string, target lang.Target) error {
	requirements, err := p.pythonRequirements(files)
	if err != nil {
		return err
	}
	for _, wanted := range requirements {
		if !wanted.Allows(version) && target.Local {
			return fault.New(fault.Conflict, "build.python", wanted.file, "%s is %q, and this machine's python3 is %s", wanted.key, wanted.Text, version).
				WithHint("put such a Python first in PATH, as python3")
		}
		if !wanted.Allows(version) {
			return fault.New(fault.Usage, "build.python", wanted.file, "%s is %q, and %s has Python %s", wanted.key, wanted.Text, target.BaseRef, version).
				WithHint("choose a base image with such a Python: {BaseImage} docker.io/library/python:VERSION-slim")
		}
	}
	return nil
}
