package python

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
)

const (
	requirementsFile = "requirements.txt"
	projectFile      = "pyproject.toml"
)

// maxFile bounds what is read of a file that the plan needs.
const maxFile = 16 << 20

// project is what Plan finds out.
type project struct {
	requirements []string // one a line, as pip reads them; options are among them
	text         []byte   // the file that pip gets
	from         string   // where they stand
	pinned       bool     // every one names one version
	start        start
}

func inspect(p *lang.Project) (*project, error) {
	files := p.Source.FS()
	found := &project{}
	err := found.readRequirements(files)
	if err != nil {
		return nil, err
	}
	found.start, err = startOf(files, found.requirements)
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Subject == "" {
		e.Subject = p.Label
	}
	return found, err
}

// readRequirements takes requirements.txt, else the dependencies in pyproject.toml.
func (p *project) readRequirements(files fs.FS) error {
	text, err := read(files, requirementsFile)
	if err != nil {
		return err
	}
	p.text, p.from = text, requirementsFile
	if text == nil {
		if text, err = read(files, projectFile); err != nil || text == nil {
			return err
		}
		var file struct {
			Project struct{ Dependencies []string }
		}
		if err := toml.Unmarshal(text, &file); err != nil {
			return tomlError(err)
		}
		p.text, p.from = []byte(strings.Join(file.Project.Dependencies, "\n")+"\n"), projectFile
	}
	p.pinned = true
	for line := range strings.Lines(strings.ReplaceAll(string(p.text), "\\\n", " ")) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.checkLine(line); err != nil {
			return err
		}
		p.requirements = append(p.requirements, line)
		p.pinned = p.pinned && isPinned(line)
	}
	return nil
}

// checkLine refuses what is not a name with a version: other files, folders and
// repositories are not what pip finds in an index, and not the same tomorrow.
func (p *project) checkLine(line string) error {
	refuse := func(what string) error {
		return fault.New(fault.Usage, "build.python", p.from, "%s: %s", line, what).
			WithHint("write all of it into one file: pip freeze > %s", requirementsFile)
	}
	word, _, _ := strings.Cut(line, " ")
	word, _, _ = strings.Cut(word, "=")
	switch {
	case word == "-r" || word == "--requirement" || word == "-c" || word == "--constraint":
		return refuse("the layers builder reads one file of requirements")
	case word == "-e" || word == "--editable":
		return refuse("an editable requirement is a folder of this machine")
	case strings.HasPrefix(line, "-"):
		return nil // an option, such as --index-url
	case strings.HasPrefix(line, ".") || strings.HasPrefix(line, "/") || strings.Contains(line, "file:"):
		return refuse("the requirement is a folder or file of this machine")
	case strings.Contains(line, "git+") || strings.Contains(line, "hg+") || strings.Contains(line, "svn+"):
		return refuse("a repository holds no wheel for the image's platform")
	}
	return nil
}

// nameOf is the normalised name of a requirement
// (https://packaging.python.org/en/latest/specifications/name-normalization/).
func nameOf(requirement string) string {
	name := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*`).FindString(requirement)
	return strings.ToLower(regexp.MustCompile(`[-_.]+`).ReplaceAllString(name, "-"))
}

// isPinned tells whether a line names one version, or is an option.
func isPinned(line string) bool {
	line, _, _ = strings.Cut(line, " --hash")
	line, _, _ = strings.Cut(line, ";")
	return strings.HasPrefix(line, "-") || regexp.MustCompile(`^[\w.-]+\s*(\[[^]]*\])?\s*===?\s*[^\s*,]+\s*$`).MatchString(line)
}

func tomlError(err error) error {
	failure := fault.New(fault.Usage, "build.python", projectFile, "%w", err)
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := e.Position()
		failure.Subject = fmt.Sprintf("%s:%d:%d", projectFile, line, column)
	}
	return failure
}

// read is the content of a file of the project, nil when there is none.
func read(files fs.FS, name string) ([]byte, error) {
	return lang.ReadFile(files, "python", name, maxFile)
}

func exists(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular()
}

func isDir(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.IsDir()
}
