package devrun

import (
	"errors"
	"os"
	"path/filepath"
)

// locked is a file that is locked as long as this process has it, however it ends.
type locked struct {
	name string
	file *os.File
}

// createLocked makes a file of that name in dir with what write puts into it. It is
// locked from the first moment that it has its name.
func createLocked(dir, name string, write func(*os.File) error) (*locked, error) {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return nil, err
	}
	if !tryLock(f) {
		err = errors.New("the lock of a new file is taken")
	}
	if err == nil {
		err = write(f)
	}
	at := filepath.Join(dir, name)
	if err == nil {
		err = os.Rename(f.Name(), at)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()), f.Close())
	}
	return &locked{name: at, file: f}, nil
}

// release removes the file.
func (l *locked) release() error { return errors.Join(os.Remove(l.name), l.file.Close()) }
