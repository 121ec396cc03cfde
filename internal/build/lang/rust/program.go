package rust

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// program is where cargo leaves it.
func (c *compilation) program() string {
	return filepath.Join(c.folder, c.target.triple, "release", c.found.Program)
}

func (c *compilation) programNote() string { return filepath.Join(c.folder, c.found.Program+".sha256") }

// checkProgram makes cargo link the program again if it is not the one that the
// last build has left. Cargo goes by the times of files and does not look into them.
func (c *compilation) checkProgram() error {
	got, err := regular.Digest(c.program())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if want, noted := sealed.Read(c.programNote()); err == nil && noted == nil && string(want) == got {
		return nil
	}
	// One that cannot be read may be a folder.
	return errors.Join(os.RemoveAll(c.program()), c.makeAgain(c.found.Package))
}

// noteProgram remembers the program; it is asked for the copy, which nobody else
// writes to.
func (c *compilation) noteProgram(made string) error {
	sum, err := regular.Digest(made)
	if err != nil {
		return err
	}
	return sealed.Write(c.programNote(), []byte(sum))
}

// makeAgain takes from cargo that it knows the package of that name.
func (c *compilation) makeAgain(name string) error {
	// Of the program and of what runs here to make it.
	for _, profile := range []string{filepath.Join(c.target.triple, "release"), "release"} {
		// The pattern is ours, so it has no mistake.
		marks, _ := filepath.Glob(filepath.Join(c.folder, profile, ".fingerprint", name+"-*"))
		for _, mark := range marks {
			if err := os.RemoveAll(mark); err != nil {
				return err
			}
		}
	}
	return nil
}
