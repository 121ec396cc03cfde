package python

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Files of the tools that came before pyproject.toml.
const (
	setupFile   = "setup.py"
	setupConfig = "setup.cfg"
	pipFile     = "Pipfile"
)

// readManifests takes the dependencies that the project's manifests list
// themselves, where no lock decides. What only a tool can read is refused with
// the command that writes it down.
func (p *project) readManifests(files fs.FS) error {
	if err := p.refuseUnlocked(files); err != nil {
		return err
	}
	m := p.manifest
	if exists(files, projectFile) {
		p.from, p.read = projectFile, append(p.read, projectFile)
	}
	if slices.Contains(m.Project.Dynamic, "dependencies") {
		return p.readDynamic(files)
	}
	lines := m.Project.Dependencies
	if len(lines) == 0 && len(m.Tool.Poetry.Dependencies) > 0 {
		var err error
		if lines, err = m.PoetryRequirements(); err != nil {
			return err
		}
	}
	if len(lines) == 0 && exists(files, setupConfig) {
		raw, err := read(files, setupConfig)
		if err != nil {
			return err
		}
		if lines = installRequires(string(raw)); len(lines) > 0 {
			p.from = setupConfig
		}
		p.read = append(p.read, setupConfig)
	}
	if len(lines) == 0 {
		if err := p.refuseSetup(files); err != nil {
			return err
		}
	}
	for _, line := range lines {
		if err := p.addLine(files, p.from, strings.TrimSpace(line), &p.requirements); err != nil {
			return err
		}
	}
	return nil
}

// refuseUnlocked refuses manifests whose dependencies only their own tool can
// choose: it knows the sources and the meaning of its version ranges.
func (p *project) refuseUnlocked(files fs.FS) error {
	refuse := func(file, command, format string, args ...any) error {
		return fault.New(fault.Usage, "build.python", file, format, args...).WithHint("write the lock, and keep it: %s", command)
	}
	m := p.manifest
	if what, command := m.Sources(); what != "" && len(m.Names()) > 0 {
		return refuse(projectFile, command, "%s says where packages come from, and there is no lock that does: the same names elsewhere may be other packages", what)
	}
	if exists(files, pipFile) {
		return refuse(pipFile, "pipenv lock", "there is no Pipfile.lock")
	}
	return nil
}

// readDynamic reads the files from which setuptools takes the dependencies.
func (p *project) readDynamic(files fs.FS) error {
	var names []string
	switch file := p.manifest.Tool.Setuptools.Dynamic.Dependencies.File.(type) {
	case string:
		names = []string{file}
	case []any:
		for _, one := range file {
			if name, ok := one.(string); ok {
				names = append(names, name)
			}
		}
	}
	for _, name := range names {
		if err := p.include(files, name, &p.requirements); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		return nil
	}
	return fault.New(fault.Usage, "build.python", projectFile, "its dependencies are dynamic: a build tool makes them up").
		WithHint("write them down: uv pip compile %s -o %s", projectFile, requirementsFile)
}

// refuseSetup refuses a setup.py that asks for packages: it is a program.
func (p *project) refuseSetup(files fs.FS) error {
	raw, err := read(files, setupFile)
	if err != nil || !strings.Contains(string(raw), "install_requires") {
		return err
	}
	return fault.New(fault.Usage, "build.python", setupFile, "its install_requires is known only to who runs it").
		WithHint("write it down: uv pip compile %s -o %s (or pip-compile %s)", setupFile, requirementsFile, setupFile)
}

// installRequires returns the install_requires of a setup.cfg.
func installRequires(text string) []string {
	var out []string
	section, inside := "", false
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimRight(line, "\r\n"), " #")
		trimmed := strings.TrimSpace(line)
		indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case strings.HasPrefix(trimmed, "[") && !indented:
			section, inside = trimmed, false
		case inside && indented:
			out = append(out, trimmed)
		default:
			name, value, _ := strings.Cut(trimmed, "=")
			inside = section == "[options]" && strings.TrimSpace(name) == "install_requires"
			if value = strings.TrimSpace(value); inside && value != "" {
				out = append(out, value)
			}
		}
	}
	return out
}
