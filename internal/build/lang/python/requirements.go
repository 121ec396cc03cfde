package python

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/python/lockfile"
	"github.com/kn-lite/kn-lite/internal/fault"
)

const (
	requirementsFile = "requirements.txt"
	projectFile      = lockfile.ProjectFile
)

// maxFile bounds what is read of a file that the plan needs.
const maxFile = 16 << 20

// maxIncludes bounds how many files of requirements include one another.
const maxIncludes = 64

// project is what Plan finds out.
type project struct {
	manifest     *lockfile.Manifest
	lock         *lockfile.Lock // nil when there is none; it decides what is installed
	requirements []string       // one a line, as pip reads them, options among them; of a lock, the names
	constraints  []string       // of files that requirements.txt names with -c
	folders      []string       // of the project, which are packages of their own
	from         string         // where they stand
	read         []string       // the files that say so
	pinned       bool           // every one names one version
	start        start
	depth        int // of folders that name one another
}

func inspect(p *lang.Project) (*project, error) {
	files := p.Source.FS()
	found := &project{}
	err := found.readDependencies(files, p.Report.Warn)
	if err != nil {
		return nil, err
	}
	found.start, err = startOf(files, found.requirements)
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Subject == "" {
		e.Subject = p.Label
	}
	return found, err
}

// readDependencies takes the lock where there is one, else requirements.txt, else
// what the manifests say.
func (p *project) readDependencies(files fs.FS, warn func(string)) error {
	var err error
	if p.manifest, err = lockfile.ReadManifest(files); err != nil {
		return err
	}
	if p.lock, err = lockfile.Read(files, p.manifest, warn); err != nil {
		return err
	}
	if p.lock != nil {
		p.from, p.pinned, p.requirements, p.folders = p.lock.File, true, p.lock.PackageNames(), p.lock.Folders()
		p.read = []string{projectFile, p.lock.File}
		return nil
	}
	p.pinned = true
	if exists(files, requirementsFile) {
		p.from = requirementsFile
		return p.include(files, requirementsFile, &p.requirements)
	}
	return p.readManifests(files)
}

// include adds the lines of a file of requirements, and of those that it names.
func (p *project) include(files fs.FS, name string, into *[]string) error {
	if len(p.read) >= maxIncludes {
		return fault.New(fault.Usage, "build.python", name, "more than %d files of requirements include one another", maxIncludes)
	}
	raw, err := read(files, name)
	if err != nil {
		return err
	}
	if raw == nil {
		return fault.New(fault.Usage, "build.python", name, "a file of requirements names it, and it is not there")
	}
	p.read = append(p.read, name)
	for _, line := range requirementLines(decodeText(raw)) {
		if err := p.addLine(files, name, line, into); err != nil {
			return err
		}
	}
	return nil
}

// requirementLines splits the text of a file of requirements as pip does.
func requirementLines(text string) []string {
	var out []string
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line, _, _ = strings.Cut(" "+strings.TrimSpace(line), " #")
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// decodeText reads a text with a byte order mark as pip does: PowerShell writes
// UTF-16.
func decodeText(raw []byte) string {
	if text, ok := bytes.CutPrefix(raw, []byte("\xef\xbb\xbf")); ok {
		return string(text)
	}
	for mark, order := range map[string]binary.ByteOrder{"\xff\xfe": binary.LittleEndian, "\xfe\xff": binary.BigEndian} {
		if rest, ok := bytes.CutPrefix(raw, []byte(mark)); ok {
			var units []uint16
			for ; len(rest) > 1; rest = rest[2:] {
				units = append(units, order.Uint16(rest))
			}
			return string(utf16.Decode(units))
		}
	}
	return string(raw)
}

// addLine takes one line of the file name. Folders of the project are in the
// image as they are; repositories are not what an index holds.
func (p *project) addLine(files fs.FS, name, line string, into *[]string) error {
	option, argument := splitOption(line)
	at := func(relative string) string { return path.Join(path.Dir(name), filepath.ToSlash(relative)) }
	switch {
	case option == "-r" || option == "--requirement":
		return p.include(files, at(argument), into)
	case option == "-c" || option == "--constraint":
		return p.include(files, at(argument), &p.constraints)
	case option == "-e" || option == "--editable":
		return p.addFolder(files, name, line, at(strings.TrimPrefix(argument, "file:")), into)
	case (option == "-f" || option == "--find-links") && !strings.Contains(argument, "://") && !filepath.IsAbs(argument) && !strings.HasPrefix(argument, "~"):
		line = option + " " + inProject + at(argument)
	case option != "":
	case strings.Contains(line, "git+") || strings.Contains(line, "hg+") || strings.Contains(line, "svn+") || strings.Contains(line, "bzr+"):
		return p.refuse(name, line, "a repository holds no wheel for the image's platform")
	default:
		if local, is := localPath(line); is {
			if !strings.HasSuffix(strings.ToLower(local), ".whl") {
				return p.addFolder(files, name, line, at(local), into)
			}
			if !exists(files, at(local)) {
				return p.refuse(name, line, "there is no such file in the project")
			}
			line = strings.Replace(line, local, inProject+at(local), 1)
		}
	}
	*into = append(*into, line)
	p.pinned = p.pinned && (option != "" || isPinned(line))
	return nil
}

// unlocked says that no lock chooses the versions of the requirements.
func (p *project) unlocked() *lang.Unlocked {
	if p.pinned || len(p.requirements) == 0 {
		return nil
	}
	command := "uv lock"
	switch {
	case len(p.manifest.Tool.Poetry.Dependencies) > 0:
		command = "poetry lock"
	case p.from == pipFile:
		command = "pipenv lock"
	case p.from != projectFile:
		command = "uv pip compile " + p.from + " -o " + requirementsFile + ", or in its own environment pip freeze > " + requirementsFile
	}
	return &lang.Unlocked{Why: p.from + " leaves versions open", Command: command}
}

// inProject stands for the project's folder in a line, which is then the same on
// every machine.
const inProject = "${PROJECT}/"

// splitOption returns the option that a line consists of, "" when it is a
// requirement.
func splitOption(line string) (option, argument string) {
	if !strings.HasPrefix(line, "-") {
		return "", ""
	}
	if found := regexp.MustCompile(`^(-[ifrce])\s*([^-\s=].*)$`).FindStringSubmatch(line); found != nil {
		return found[1], strings.TrimSpace(found[2])
	}
	option, argument, _ = strings.Cut(strings.Replace(line, "=", " ", 1), " ")
	return option, strings.TrimSpace(argument)
}

// localPath returns the file or folder that a requirement names.
func localPath(line string) (local string, is bool) {
	line, _, _ = strings.Cut(line, " ;")
	line, _, _ = strings.Cut(line, " --hash")
	if name, address, ok := strings.Cut(line, "@"); ok && !strings.Contains(name, "/") {
		line = strings.TrimSpace(address)
		if !strings.HasPrefix(line, "file:") {
			return "", false
		}
	}
	if rest, ok := strings.CutPrefix(line, "file:"); ok {
		return strings.TrimPrefix(rest, "//"), true
	}
	if strings.Contains(line, "://") {
		return "", false
	}
	word, _, _ := strings.Cut(strings.TrimSpace(line), "[")
	return word, strings.HasPrefix(word, ".") || strings.Contains(word, "/") || strings.HasSuffix(word, ".whl")
}

// addFolder takes a folder of the project as pip's editable installation does:
// its modules are found where they are, and what it asks for is installed.
func (p *project) addFolder(files fs.FS, name, line, folder string, into *[]string) error {
	folder, _, _ = strings.Cut(folder, "[")
	folder = path.Clean(folder)
	if path.IsAbs(folder) || folder == ".." || strings.HasPrefix(folder, "../") {
		return p.refuse(name, line, "it is a folder or file of this machine, outside of the project")
	}
	if !isDir(files, folder) {
		return p.refuse(name, line, "there is no such folder in the project")
	}
	inner := files
	if folder != "." {
		var err error
		if inner, err = fs.Sub(files, folder); err != nil {
			return err
		}
		p.folders = append(p.folders, folder)
	}
	its := &project{pinned: true, depth: p.depth + 1}
	if its.depth > maxIncludes {
		return p.refuse(name, line, "folders name one another")
	}
	var err error
	if its.manifest, err = lockfile.ReadManifest(inner); err != nil {
		return err
	}
	if err := its.readManifests(inner); err != nil {
		return err
	}
	*into = append(*into, its.requirements...)
	p.pinned = p.pinned && its.pinned
	for _, file := range its.read {
		p.read = append(p.read, path.Join(folder, file))
	}
	return nil
}

func (p *project) refuse(name, line, why string) error {
	return fault.New(fault.Usage, "build.python", name, "%s: %s", lockfile.Redact(line), why).
		WithHint("make a wheel of it, put that into a folder of the project, and say: --find-links FOLDER")
}

// isPinned reports whether a requirement names one version, or one file.
func isPinned(line string) bool {
	line, _, _ = strings.Cut(line, " --hash")
	line, _, _ = strings.Cut(line, ";")
	return strings.HasPrefix(line, inProject) || strings.HasSuffix(strings.TrimSpace(line), ".whl") ||
		regexp.MustCompile(`^[\w.-]+\s*(\[[^]]*\])?\s*===?\s*[^\s*,]+\s*$`).MatchString(line)
}

// localFiles returns what of the project pip is given besides the requirements.
func (p *project) localFiles() (wheels, folders []string) {
	for _, line := range append(slices.Clone(p.requirements), p.constraints...) {
		if _, rest, ok := strings.Cut(line, inProject); !ok {
			continue
		} else if option, _ := splitOption(line); option != "" {
			folders = append(folders, path.Clean(rest))
		} else {
			name, _, _ := strings.Cut(rest, " ")
			wheels = append(wheels, name)
		}
	}
	if p.lock != nil {
		wheels, folders = p.lock.LocalFiles()
	}
	return wheels, folders
}

// searchPath returns the folders of the image from which modules are loaded.
func (p *project) searchPath(files fs.FS) []string {
	var out []string
	for _, folder := range append([]string{"."}, p.folders...) {
		out = append(out, "/"+path.Join(home, folder))
		if src := path.Join(folder, "src"); isDir(files, src) {
			out = append(out, "/"+path.Join(home, src))
		}
	}
	return out
}

// read returns the content of a file of the project, nil when there is none.
func read(files fs.FS, name string) ([]byte, error) {
	return lang.ReadFile(files, "python", name, maxFile)
}

func exists(files fs.FS, name string) bool {
	info, err := fs.Stat(files, path.Clean(name))
	return err == nil && info.Mode().IsRegular()
}

func isDir(files fs.FS, name string) bool {
	info, err := fs.Stat(files, path.Clean(name))
	return err == nil && info.IsDir()
}
