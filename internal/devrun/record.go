package devrun

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Record is what others may know of a function that runs.
type Record struct {
	Name    string    `json:"name"`
	URL     string    `json:"url"`
	PID     int       `json:"pid"` // of kn-lite run
	Dir     string    `json:"dir"` // of the project
	Started time.Time `json:"started"`
}

// maxRecord bounds what is read of a record.
const maxRecord = 64 << 10

// Save writes the record of this process below stateDir, readable by its user only.
// It counts until release is called or the process ends, however it ends.
func (r Record) Save(stateDir string) (release func() error, err error) {
	dir := recordFolder(stateDir, r.Dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := createLocked(dir, strconv.Itoa(r.PID)+".json", func(f *os.File) error { return json.NewEncoder(f).Encode(r) })
	if err != nil {
		return nil, err
	}
	return f.release, nil
}

// Find returns the record of a function that runs from the project in dir, of
// several the one that was started last; nil is none. Those of processes that have
// ended are removed.
func Find(stateDir, dir string) (*Record, error) {
	folder := recordFolder(stateDir, dir)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found *Record
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue // it is being written
		}
		r, err := read(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		if r != nil && (found == nil || r.Started.After(found.Started)) {
			found = r
		}
	}
	return found, nil
}

// read reads a record; nil is none that counts.
func read(name string) (*Record, error) {
	f, err := os.Open(name) //nolint:forbidigo // a file of ours in a folder that is closed to others
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if locksWork && tryLock(f) {
		return nil, os.Remove(name) // its process has ended
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err != nil {
		return nil, err
	}
	r := &Record{}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// recordFolder is where the records of a project are: its folder may have any name,
// and several may lead to it.
func recordFolder(stateDir, dir string) string {
	return filepath.Join(stateDir, "run", folderName(dir))
}

func folderName(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:16])
}
