package layer

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

const (
	// unusedFor is how long a layer that no build has asked for stays in the store.
	unusedFor = 14 * 24 * time.Hour
	// maxBlobs bounds the store. Beyond it the layers that were used least
	// recently go, but none that a build may be reading.
	maxBlobs   = 10 << 30
	readingFor = time.Hour
	// abandonedAfter is when a file that is still being written belongs to a
	// build that was killed.
	abandonedAfter = 24 * time.Hour
)

// touch notes that files are in use now. Without it they are only made again
// some day.
func (s *Store) touch(files ...string) {
	if s.now == nil {
		return
	}
	for _, file := range files {
		_ = os.Chtimes(file, s.now(), s.now())
	}
}

// Prune removes what no build has used for two weeks, from the store and from
// the folders in also, and of the layers as many as are too much. Errors are not
// reported: what stays behind costs space only, and the next build tries again.
func (s *Store) Prune(also ...string) {
	if s.now == nil {
		return
	}
	for _, dir := range append(also, s.records()) {
		s.pruneOld(dir)
	}
	blobs := s.pruneOld(s.blobs())
	total := int64(0)
	for _, b := range blobs {
		total += b.Size()
	}
	slices.SortFunc(blobs, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, b := range blobs {
		if total <= s.limit || s.now().Sub(b.ModTime()) < readingFor {
			return
		}
		if os.Remove(filepath.Join(s.blobs(), b.Name())) == nil {
			total -= b.Size()
		}
	}
}

// pruneOld removes what is old and returns the rest.
func (s *Store) pruneOld(dir string) []fs.FileInfo {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var left []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		limit := unusedFor
		if strings.HasPrefix(e.Name(), sealed.TempPrefix) {
			limit = abandonedAfter
		}
		if s.now().Sub(info.ModTime()) <= limit || os.RemoveAll(filepath.Join(dir, e.Name())) != nil {
			left = append(left, info)
		}
	}
	return left
}

// locks are one mutex for each name.
type locks struct {
	mutex sync.Mutex
	held  map[string]*sync.Mutex
}

func (l *locks) of(name string) *sync.Mutex {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.held == nil {
		l.held = map[string]*sync.Mutex{}
	}
	if l.held[name] == nil {
		l.held[name] = &sync.Mutex{}
	}
	return l.held[name]
}
