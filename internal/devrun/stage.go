package devrun

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// stageSuffix ends the names of the lock files of stages.
const stageSuffix = ".lock"

// NewStage makes a folder for the files of one program below cacheDir, and removes
// those of processes that were killed. remove removes it.
func NewStage(cacheDir, dir string) (stage string, remove func() error, err error) {
	parent := filepath.Join(cacheDir, "run")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", nil, err
	}
	// Programs name their files without links.
	if parent, err = filepath.EvalSymlinks(parent); err != nil {
		return "", nil, err
	}
	if err := removeAbandoned(parent); err != nil {
		return "", nil, err
	}
	name := folderName(dir)[:8] + "-" + strconv.Itoa(os.Getpid())
	lock, err := createLocked(parent, name+stageSuffix, func(*os.File) error { return nil })
	if err != nil {
		return "", nil, err
	}
	stage = filepath.Join(parent, name)
	remove = func() error { return errors.Join(os.RemoveAll(stage), lock.release()) }
	if err := errors.Join(os.RemoveAll(stage), os.Mkdir(stage, 0o700)); err != nil {
		return "", nil, errors.Join(err, remove())
	}
	return stage, remove, nil
}

func removeAbandoned(parent string) error {
	locks, err := filepath.Glob(filepath.Join(parent, "*"+stageSuffix))
	if err != nil {
		return err
	}
	for _, name := range locks {
		f, err := os.Open(name) //nolint:forbidigo // a file of ours in a folder that is closed to others
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if locksWork && tryLock(f) {
			killMarked("PWD=" + strings.TrimSuffix(name, stageSuffix) + string(filepath.Separator))
			err = errors.Join(os.RemoveAll(strings.TrimSuffix(name, stageSuffix)), os.Remove(name))
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
