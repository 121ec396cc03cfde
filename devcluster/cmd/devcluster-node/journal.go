package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxManifest is the distribution specification's recommended limit.
const maxManifest = 4 << 20

// journal keeps manifests across restarts: go-containerregistry's registry
// stores blobs on disk but manifests only in memory. Every accepted manifest
// PUT is written as one file, and the files are replayed at start.
type journal struct {
	next http.Handler
	dir  string
	mu   sync.Mutex
}

// entry is one file of the journal.
type entry struct {
	Path string    `json:"path"` // /v2/NAME/manifests/REFERENCE
	Type string    `json:"type"` // Content-Type
	Body []byte    `json:"body"`
	Time time.Time `json:"time"` // replay order: an index comes after its children
}

func newJournal(dir string, next http.Handler) (*journal, error) {
	j := &journal{next: next, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return j, j.replay()
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Path, "/manifests/") || (r.Method != http.MethodPut && r.Method != http.MethodDelete) {
		j.next.ServeHTTP(w, r)
		return
	}
	// One manifest change at a time: the journal's order is then the registry's.
	j.mu.Lock()
	defer j.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		http.Error(w, "manifest too large", http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	// Written first, taken back if refused: an accepted manifest that a crash
	// forgets would be worse than a refused one that a crash leaves behind.
	file := j.file(r.URL.Path)
	if r.Method == http.MethodDelete {
		j.next.ServeHTTP(rec, r)
		if rec.status < 300 {
			_ = os.Remove(file)
		}
		return
	}
	before, readErr := os.ReadFile(file)
	if err := writeEntry(file, entry{Path: r.URL.Path, Type: r.Header.Get("Content-Type"), Body: body, Time: time.Now()}); err != nil {
		http.Error(w, err.Error(), http.StatusInsufficientStorage)
		return
	}
	j.next.ServeHTTP(rec, r)
	if rec.status >= 300 {
		if readErr == nil {
			_ = os.WriteFile(file, before, 0o644)
		} else {
			_ = os.Remove(file)
		}
	}
}

func (j *journal) file(path string) string {
	return filepath.Join(j.dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(path))))
}

func writeEntry(file string, e entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	tmp := file + ".tmp"
	return errors.Join(os.WriteFile(tmp, data, 0o644), os.Rename(tmp, file))
}

func (j *journal) replay() error {
	files, err := filepath.Glob(filepath.Join(j.dir, "*.json"))
	if err != nil {
		return err
	}
	entries := make([]entry, 0, len(files))
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		var e entry
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.Time.Compare(b.Time) })
	for _, e := range entries {
		req := httptest.NewRequest(http.MethodPut, e.Path, bytes.NewReader(e.Body))
		req.Header.Set("Content-Type", e.Type)
		rec := httptest.NewRecorder()
		j.next.ServeHTTP(rec, req)
		if rec.Code >= 300 {
			// A blob or a child is gone: the manifest is of no use, drop it.
			_ = os.Remove(j.file(e.Path))
		}
	}
	return nil
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(code int) {
	s.status = code
	s.ResponseWriter.WriteHeader(code)
}
