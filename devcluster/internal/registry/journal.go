package registry

import (
	"bytes"
	"cmp"
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
// stores blobs on disk but manifests only in memory. Every manifest that is put
// becomes a file under its digest, and every tag a file under its name; the
// files are replayed at start.
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
	Time time.Time `json:"time"` // when Path was first put
}

func (e entry) isTag() bool { return !strings.Contains(e.Path, "/manifests/sha256:") }

func newJournal(dir string, next http.Handler) (*journal, error) {
	j := &journal{next: next, dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return j, j.replay()
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	isManifest := strings.Contains(r.URL.Path, "/manifests/")
	switch {
	case isManifest && r.Method == http.MethodPut:
		j.put(w, r)
	case isManifest && r.Method == http.MethodDelete:
		j.remove(w, r)
	default:
		j.next.ServeHTTP(w, r)
	}
}

// put asks the registry first, and only then writes: what it refuses leaves no
// trace. The answer is held back until the files are there, so that a client
// never believes in a manifest that a restart would forget.
func (j *journal) put(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		http.Error(w, "manifest too large", http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	// One change at a time: the journal's order is then the registry's.
	j.mu.Lock()
	defer j.mu.Unlock()
	answer := httptest.NewRecorder()
	j.next.ServeHTTP(answer, r)
	if answer.Code < 300 {
		e := entry{Path: r.URL.Path, Type: r.Header.Get("Content-Type"), Body: body, Time: time.Now()}
		if err := j.keep(e); err != nil {
			http.Error(w, err.Error(), http.StatusInsufficientStorage)
			return
		}
	}
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// keep writes e and, when it is a tag, the manifest itself: an index may go on
// naming a manifest whose tag has moved away.
func (j *journal) keep(e entry) error {
	if e.isTag() {
		name, _, _ := strings.Cut(e.Path, "/manifests/")
		byDigest := e
		byDigest.Path = fmt.Sprintf("%s/manifests/sha256:%x", name, sha256.Sum256(e.Body))
		return errors.Join(j.keep(byDigest), j.write(e))
	}
	if _, err := os.Stat(j.file(e.Path)); err == nil {
		return nil // content never changes under its digest, and the first time counts
	}
	return j.write(e)
}

func (j *journal) write(e entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	file := j.file(e.Path)
	if err := os.WriteFile(file+".tmp", data, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".tmp", file)
}

func (j *journal) remove(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	// The file goes first: a crash in between forgets what was to be forgotten.
	if err := os.Remove(j.file(r.URL.Path)); err != nil && !errors.Is(err, os.ErrNotExist) {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	j.next.ServeHTTP(w, r)
}

func (j *journal) file(path string) string {
	return filepath.Join(j.dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(path))))
}

// replay puts every manifest in the order in which it first came, so that an
// index follows its children, and then every tag.
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
	slices.SortFunc(entries, func(a, b entry) int {
		if a.isTag() != b.isTag() {
			if b.isTag() {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Path, b.Path))
	})
	for _, e := range entries {
		req := httptest.NewRequest(http.MethodPut, e.Path, bytes.NewReader(e.Body))
		req.Header.Set("Content-Type", e.Type)
		rec := httptest.NewRecorder()
		j.next.ServeHTTP(rec, req)
		if rec.Code >= 300 {
			// A child is gone: the index is of no use any more.
			if err := os.Remove(j.file(e.Path)); err != nil {
				return err
			}
		}
	}
	return nil
}
