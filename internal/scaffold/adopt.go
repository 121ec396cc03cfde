package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// Unadopted is a Conflict error when dir is a project already.
func Unadopted(dir string) error {
	file := filepath.Join(dir, function.File)
	switch _, err := os.Lstat(file); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &fault.Error{Op: "scaffold.adopt", Subject: file, Err: err}
	}
	return adoptedAlready(file)
}

func adoptedAlready(file string) error {
	return fault.New(fault.Conflict, "scaffold.adopt", file, "the folder is a project already").
		WithHint("build it: kn-lite build; or remove the file to write it anew")
}

// Adopt writes a func.yaml for the code in dir, and the files that a build of it
// needs besides. It never replaces one, and after an error none is there.
// variables are for the build: NAME and value.
func Adopt(dir, name, language string, files map[string]string, variables [][2]string, created time.Time) (err error) {
	if err := function.CheckName(name); err != nil {
		return err
	}
	var written []string
	defer func() {
		if err == nil {
			return
		}
		for _, at := range written {
			err = errors.Join(err, os.Remove(at))
		}
	}()
	for _, file := range slices.Sorted(maps.Keys(files)) {
		at := filepath.Join(dir, file)
		made, err := writeNew(at, files[file])
		if made {
			written = append(written, at)
		}
		if err != nil {
			return err
		}
	}
	return adoptFolder(dir, name, language, variables, created)
}

// writeNew writes a file that is not there yet.
func writeNew(at, text string) (made bool, err error) {
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return false, &fault.Error{Op: "scaffold.adopt", Subject: at, Err: err}
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		err = &fault.Error{Op: "scaffold.adopt", Subject: at, Err: err}
	}
	return true, err
}

func adoptFolder(dir, name, language string, variables [][2]string, created time.Time) error {
	file := filepath.Join(dir, function.File)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return adoptedAlready(file)
	}
	if err != nil {
		return &fault.Error{Op: "scaffold.adopt", Subject: file, Err: err}
	}
	_, err = fmt.Fprintf(f, `# The project file. knative/func reads it too; its keys are described at
# https://github.com/knative/func/blob/main/docs/reference/func_yaml.md
specVersion: %s
name: %s
runtime: %s
created: %s
`, function.SpecVersion, name, language, created.UTC().Format(time.RFC3339))
	if len(variables) > 0 {
		_, writeErr := fmt.Fprint(f, "build:\n  buildEnvs:\n")
		err = errors.Join(err, writeErr)
	}
	for _, v := range variables {
		// A string of Go in ASCII is one of YAML.
		_, writeErr := fmt.Fprintf(f, "  - name: %s\n    value: %+q\n", v[0], v[1])
		err = errors.Join(err, writeErr)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return &fault.Error{Op: "scaffold.adopt", Subject: file, Err: errors.Join(err, os.Remove(file))}
	}
	return nil
}
