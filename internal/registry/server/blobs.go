package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// uploadLife is how long an upload that nobody goes on with stays on the disk.
const uploadLife = 10 * time.Minute

// blobFiles serves blobs and takes uploads, all of them from disk to network and
// back: memory does not grow with a layer. Manifests are left to next.
type blobFiles struct {
	dir   string // dir/sha256/HEX, where go-containerregistry looks for them too
	route *regexp.Regexp
	now   func() time.Time
	next  http.Handler

	mu      sync.Mutex
	uploads map[string]*uploadSession // by session
}

// uploadSession is an upload that goes on.
type uploadSession struct {
	mu   sync.Mutex
	file string
	size int64
	last time.Time
}

func newBlobFiles(dir string, now func() time.Time, next http.Handler) (*blobFiles, error) {
	for _, folder := range []string{"sha256", "uploads"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, err
		}
	}
	return &blobFiles{dir: dir, route: blobRoute(), now: now, next: next, uploads: map[string]*uploadSession{}}, nil
}

// nameRoute begins the pattern of every path that names a repository.
const nameRoute = `^/v2/((?:[a-z0-9]+(?:[._-]+[a-z0-9]+)*/)*[a-z0-9]+(?:[._-]+[a-z0-9]+)*)/`

func blobRoute() *regexp.Regexp {
	return regexp.MustCompile(nameRoute + `blobs/(uploads/?|uploads/[0-9a-f]{32}|sha256:[0-9a-f]{64})$`)
}

// ServeHTTP implements http.Handler.
func (b *blobFiles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := b.route.FindStringSubmatch(r.URL.Path)
	if m == nil {
		if strings.Contains(r.URL.Path, "/blobs/") {
			writeError(w, http.StatusNotFound, "BLOB_UNKNOWN", "there is no such blob")
			return
		}
		b.next.ServeHTTP(w, r)
		return
	}
	name, target := m[1], m[2]
	id, session := strings.CutPrefix(target, "uploads/")
	switch {
	case !session && target != "uploads":
		b.blob(w, r, target)
	case id == "" || target == "uploads":
		b.start(w, r, name)
	default:
		b.upload(w, r, name, id)
	}
}

func (b *blobFiles) path(digest string) string {
	return filepath.Join(b.dir, "sha256", strings.TrimPrefix(digest, "sha256:"))
}

func (b *blobFiles) blob(w http.ResponseWriter, r *http.Request, digest string) {
	if r.Method == http.MethodDelete {
		if err := os.Remove(b.path(digest)); err != nil {
			writeError(w, http.StatusNotFound, "BLOB_UNKNOWN", "there is no such blob")
			return
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	file, err := os.Open(b.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		writeError(w, http.StatusNotFound, "BLOB_UNKNOWN", "there is no such blob")
		return
	}
	if err != nil {
		writeFailure(w, err)
		return
	}
	defer file.Close()
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, file)
}

// start begins an upload, or ends it at once: by a mount, or with the whole body.
func (b *blobFiles) start(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method != http.MethodPost {
		writeError(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "an upload begins with POST")
		return
	}
	b.expire()
	// All repositories share their blobs, so a mount needs no source.
	if digest := r.URL.Query().Get("mount"); digest != "" {
		if hash, err := v1.NewHash(digest); err == nil {
			if _, err := os.Stat(b.path(hash.String())); err == nil {
				writeCreated(w, name, hash.String())
				return
			}
		}
	}
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails
	id := hex.EncodeToString(raw)
	u := &uploadSession{file: filepath.Join(b.dir, "uploads", id), last: b.now()}
	if err := os.WriteFile(u.file, nil, 0o600); err != nil {
		writeFailure(w, err)
		return
	}
	b.mu.Lock()
	b.uploads[id] = u
	b.mu.Unlock()
	if r.URL.Query().Get("digest") != "" {
		b.upload(w, r, name, id)
		return
	}
	u.progress(w, name, id, http.StatusAccepted)
}

// upload goes on with a session.
func (b *blobFiles) upload(w http.ResponseWriter, r *http.Request, name, id string) {
	b.mu.Lock()
	u := b.uploads[id]
	b.mu.Unlock()
	if u == nil {
		writeError(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "there is no such upload, or it has expired")
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last = b.now()
	switch r.Method {
	case http.MethodGet:
		u.progress(w, name, id, http.StatusNoContent)
	case http.MethodDelete:
		b.forget(id)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPatch, http.MethodPut, http.MethodPost:
		if !u.fits(r.Header.Get("Content-Range")) {
			u.progress(w, name, id, http.StatusRequestedRangeNotSatisfiable)
			return
		}
		if err := u.append(r.Body); isFull(err) {
			b.forget(id) // and make what room there is
			writeFailure(w, err)
			return
		} else if err != nil {
			writeError(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", err.Error())
			return
		}
		u.last = b.now()
		if r.Method == http.MethodPatch {
			u.progress(w, name, id, http.StatusAccepted)
			return
		}
		b.commit(w, u, name, id, r.URL.Query().Get("digest"))
	default:
		writeError(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "no such method for an upload")
	}
}

// fits reports whether a chunk goes on where the upload is.
func (u *uploadSession) fits(contentRange string) bool {
	if contentRange == "" {
		return true
	}
	var first, last int64
	n, err := fmt.Sscanf(contentRange, "%d-%d", &first, &last)
	return err == nil && n == 2 && first == u.size && last >= first
}

// append adds what comes to the file. What has come before a connection broke
// stays, and the client is told how much that is.
func (u *uploadSession) append(body io.Reader) error {
	f, err := os.OpenFile(u.file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, body)
	u.size += n
	return errors.Join(err, f.Close())
}

func (u *uploadSession) progress(w http.ResponseWriter, name, id string, status int) {
	w.Header().Set("Location", "/v2/"+name+"/blobs/uploads/"+id)
	w.Header().Set("Docker-Upload-UUID", id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, u.size-1)))
	w.WriteHeader(status)
}

// commit makes the upload a blob, if it is what the client says it is.
func (b *blobFiles) commit(w http.ResponseWriter, u *uploadSession, name, id, digest string) {
	got, err := digestOfFile(u.file)
	switch {
	case err != nil:
		writeFailure(w, err)
	case got != digest:
		b.forget(id)
		writeError(w, http.StatusBadRequest, "DIGEST_INVALID", "the content has the digest "+got)
	default:
		if err := os.Rename(u.file, b.path(got)); err != nil {
			writeFailure(w, err)
			return
		}
		b.forget(id)
		writeCreated(w, name, got)
	}
}

// forget ends a session, and removes what it has brought unless that is a blob now.
func (b *blobFiles) forget(id string) {
	b.mu.Lock()
	u := b.uploads[id]
	delete(b.uploads, id)
	b.mu.Unlock()
	if u != nil {
		_ = os.Remove(u.file) // gone, or swept with the folder
	}
}

// expire ends the sessions that nobody goes on with.
func (b *blobFiles) expire() {
	b.mu.Lock()
	var old []string
	for id, u := range b.uploads {
		if !u.mu.TryLock() {
			continue // in the middle of a request
		}
		if b.now().Sub(u.last) > uploadLife {
			old = append(old, id)
		}
		u.mu.Unlock()
	}
	b.mu.Unlock()
	for _, id := range old {
		b.forget(id)
	}
}

func digestOfFile(file string) (digest string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), err
}

func writeCreated(w http.ResponseWriter, name, digest string) {
	w.Header().Set("Location", "/v2/"+name+"/blobs/"+digest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.WriteHeader(http.StatusCreated)
}

// writeFailure answers that the registry itself could not do something.
func writeFailure(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if isFull(err) {
		status = http.StatusInsufficientStorage
	}
	writeError(w, status, "UNKNOWN", err.Error())
}

// isFull reports whether something failed for want of room on the disk.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// writeError answers as the distribution specification wants errors.
func writeError(w http.ResponseWriter, status int, code, message string) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// Whoever has gone does not read it.
	_ = json.NewEncoder(w).Encode(map[string][]problem{"errors": {{code, message}}})
}
