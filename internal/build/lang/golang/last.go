package golang

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// lastProgram is where the program of a folder's last build is kept.
func lastProgram(scratch, dir string, platform v1.Platform) string {
	sum := sha256.Sum256([]byte(platform.String() + "\x00" + dir))
	return filepath.Join(scratch, "program-"+hex.EncodeToString(sum[:8]))
}

// digestOf is where the digest of a last program is.
func digestOf(last string) string { return last + ".sha256" }

// takeProgram moves the program of the last build to where the next one writes, if
// it is whole. The go command asks a program's head for its build ID and leaves
// one that has the right ID as it is, also when the rest of it is gone.
func takeProgram(last, program string) error {
	// Taken by a rename, so that two builds at once cannot share it.
	err := os.Rename(last, program)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	want, err := sealed.Read(digestOf(last))
	if err == nil {
		var got string
		if got, err = digest(program); err == nil && got == string(want) {
			return nil
		}
	}
	return os.RemoveAll(program)
}

// giveBack leaves the program of this build for the next one.
func giveBack(program, last string) error {
	sum, err := digest(program)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// In this order: a build that is killed in between leaves one that is not taken.
	return errors.Join(atomicfile.Place(program, last), sealed.Write(digestOf(last), []byte(sum)))
}

// digest is over a file that is not a link to one.
func digest(file string) (string, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return "", err
	}
	if err := regular.Check(file, info.Mode()); err != nil {
		return "", err
	}
	return regular.Digest(file)
}
