// Package atomicfile replaces files so that whoever reads one, also after a crash,
// finds the old content or the new one and never a part of either.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// TempPrefix begins the names of files that are not whole yet. They are in the folder
// of the file that they become, because a rename across file systems is no rename.
const TempPrefix = ".kn-lite-"

// Write replaces file, for its owner alone. The content is on the disk before the file
// has its name.
func Write(file string, content []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), TempPrefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(content)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}
