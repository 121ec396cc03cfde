package server

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	serveFolder = "kn-lite-registry-"
	// lockName is a file in the folder that is locked while its registry runs.
	lockName = "lock"
	// startingFor is how long a folder may have no lock yet.
	startingFor = time.Hour
)

// openTempFolder makes a folder in temp for what the registry holds, after
// removing those of registries that were killed. remove ends its use.
func openTempFolder(temp string, now func() time.Time) (dir string, remove func() error, err error) {
	if temp == "" {
		temp = os.TempDir()
	}
	removeStale(temp, now)
	if dir, err = os.MkdirTemp(temp, serveFolder+"*"); err != nil {
		return "", nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil && !tryLock(lock) {
		err = errors.Join(fs.ErrExist, lock.Close())
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }, nil
}

// removeStale removes the folders whose registry does not run any more. What
// cannot be removed belongs to somebody else, or goes the next time.
func removeStale(temp string, now func() time.Time) {
	entries, err := os.ReadDir(temp)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), serveFolder) {
			continue
		}
		dir := filepath.Join(temp, e.Name())
		info, err := e.Info()
		if err != nil || !isOwn(info) {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist) && now().Sub(info.ModTime()) > startingFor:
			_ = os.RemoveAll(dir)
		case err == nil:
			if tryLock(lock) {
				_ = os.RemoveAll(dir)
			}
			_ = lock.Close()
		}
	}
}
