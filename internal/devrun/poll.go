package devrun

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	// pollEvery is how often files are looked at where the system does not tell of
	// changes.
	pollEvery = time.Second
	// pollShare is how many times as long as a look the pause after it is, at least.
	pollShare = 20
)

// poll looks at all files again and again until the watcher is closed.
func (w *watcher) poll() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var seen, seenFiles uint64
	for first := true; ; first = false {
		select {
		case <-w.stop:
			return
		case <-timer.C:
		}
		began := time.Now()
		w.mu.Lock()
		sources := w.sources
		w.mu.Unlock()
		now, files := fingerprint(sources.Folders, nil), fingerprint(nil, sources.Files)
		if !first && files != seenFiles {
			w.mu.Lock()
			w.defining = true
			w.mu.Unlock()
		}
		if !first && (now != seen || files != seenFiles) {
			w.note()
		}
		seen, seenFiles = now, files
		timer.Reset(max(pollEvery, pollShare*time.Since(began)))
	}
}

// fingerprint is another number when a file that counts is another one.
func fingerprint(folders []Folder, files []string) uint64 {
	h := fnv.New64a()
	visit(folders, files, func(name string, info fs.FileInfo) {
		fmt.Fprintf(h, "%s\x00%d %d %s\n", name, info.Size(), info.ModTime().UnixNano(), info.Mode().Type())
	})
	return h.Sum64()
}

// newest is when the file was written that was written last.
func newest(sources *Sources) time.Time {
	var last time.Time
	visit(sources.Folders, sources.Files, func(_ string, info fs.FileInfo) {
		if info.ModTime().After(last) {
			last = info.ModTime()
		}
	})
	return last
}

// visit calls see with the files that count. What cannot be read does not.
func visit(folders []Folder, files []string, see func(name string, info fs.FileInfo)) {
	for _, folder := range folders {
		_ = filepath.WalkDir(folder.Dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if out, prune := folder.skips(name, entry.IsDir()); out {
				if prune && entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if info, err := entry.Info(); err == nil && !entry.IsDir() {
				see(name, info)
			}
			return nil
		})
	}
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			see(name, info)
		}
	}
}
