// Package sealed writes small files of a cache so that damage shows. A cache is
// read years after it was written, by other releases, from disks that were full
// and out of archives: what is cut, changed, or another entry's is none, and is
// made again. It is no protection from somebody who may write to the cache.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// ErrDamaged is a file that is not what was written under its name.
var ErrDamaged = errors.New("the file is damaged, or another one's")

const header = "kn-lite sealed "

// Write writes a file that Read knows again.
func Write(file string, content []byte) error {
	return WriteFile(file, append(seal(file, content), content...))
}

// WriteFile writes a file that is there as a whole or not at all, readable by its
// owner only: names of files are nobody else's business. What the content is has to
// be seen from the file's name.
func WriteFile(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(file, content, Options())
}

// TempPrefix begins the names of files of a cache that are not whole yet.
const TempPrefix = ".new-"

// Options returns how files of a cache are written: they can be made again, and a
// folder that stands in the place of one, for which no build has any use, goes.
func Options() atomicfile.Options {
	return atomicfile.Options{Disposable: true, ReplaceFolder: true, TempPrefix: TempPrefix}
}

// Read returns what Write has written under this very name, as this user or as
// root. What another user has put there is nothing that this one has built.
func Read(file string) ([]byte, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !trusted(info) {
		return nil, ErrDamaged
	}
	raw, err := regular.ReadFile(file)
	if err != nil {
		return nil, err
	}
	end := bytes.IndexByte(raw, '\n') + 1
	if content := raw[end:]; bytes.Equal(raw[:end], seal(file, content)) {
		return content, nil
	}
	return nil, ErrDamaged
}

// seal is over the entry's name too: one that stands under the name of another
// entry is as wrong as one that is damaged.
func seal(file string, content []byte) []byte {
	h := sha256.New()
	h.Write([]byte(filepath.Base(file) + "\n"))
	h.Write(content)
	return []byte(header + hex.EncodeToString(h.Sum(nil)) + "\n")
}
