package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// Adopt writes a func.yaml for the code in dir, and nothing else. It never
// replaces one.
func Adopt(dir, name, language string, created time.Time) (err error) {
	if err := function.CheckName(name); err != nil {
		return err
	}
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
	if err = errors.Join(err, f.Close()); err != nil {
		return &fault.Error{Op: "scaffold.adopt", Subject: file, Err: errors.Join(err, os.Remove(file))}
	}
	return nil
}
