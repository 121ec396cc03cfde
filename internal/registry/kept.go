package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Kept is a registry that keeps what it is given in a folder:
//
//	DIR/sha256/HEX            blobs
//	DIR/manifests/HEX         manifests, by their digests
//	DIR/names/NAME/REFERENCE  the digest and the media type of a manifest; names are escaped
//
// Only one process may have the folder.
type Kept struct {
	dir      string
	password string
	blobs    *blobFiles
	memory   atomic.Pointer[http.Handler] // manifests, as clients see them

	mu sync.Mutex // one change of the names at a time
}

// KeptAuth is what a client needs in Options.Auths for a Kept registry at host.
func KeptAuth(host, password string) []byte {
	// Strings have a JSON form.
	raw, _ := json.Marshal(dockerConfig{Auths: map[string]authEntry{host: {Username: "kn-lite", Password: password}}})
	return raw
}

// OpenKept opens the folder dir and makes it where there is none. Who does not say
// the password, as a user of any name, gets 401.
func OpenKept(ctx context.Context, dir, password string) (*Kept, error) {
	for _, sub := range []string{"sha256", "manifests", "names"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fault.New(fault.Failure, "registry.open", dir, "%w", err)
		}
	}
	_ = os.RemoveAll(filepath.Join(dir, "uploads")) // of a process that was killed
	k := &Kept{dir: dir, password: password}
	var err error
	if k.blobs, err = newBlobFiles(dir, time.Now, http.HandlerFunc(k.manifests)); err != nil {
		return nil, fault.New(fault.Failure, "registry.open", dir, "%w", err)
	}
	return k, k.restore(ctx)
}

// ServeHTTP implements http.Handler. It asks for the password, and answers to
// localhost and to addresses in numbers only.
func (k *Kept) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ownNames(nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, given, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(given), []byte(k.password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="kn-lite"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "this registry belongs to the platform of one user, whose kn-lite knows the password")
			return
		}
		k.blobs.ServeHTTP(w, r)
	})).ServeHTTP(w, r)
}

func manifestRoute() *regexp.Regexp {
	return regexp.MustCompile(`^/v2/((?:[a-z0-9]+(?:[._-]+[a-z0-9]+)*/)*[a-z0-9]+(?:[._-]+[a-z0-9]+)*)/manifests/([A-Za-z0-9_][A-Za-z0-9._-]{0,127}|sha256:[0-9a-f]{64})$`)
}

// manifests writes down what the registry in memory accepts, before the client
// hears of it.
func (k *Kept) manifests(w http.ResponseWriter, r *http.Request) {
	m := manifestRoute().FindStringSubmatch(r.URL.Path)
	if m == nil || r.Method != http.MethodPut && r.Method != http.MethodDelete {
		(*k.memory.Load()).ServeHTTP(w, r)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", err.Error())
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	answer := &recorded{header: http.Header{}}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	(*k.memory.Load()).ServeHTTP(answer, r)
	if answer.status < http.StatusMultipleChoices {
		if r.Method == http.MethodPut {
			err = k.keep(m[1], m[2], r.Header.Get("Content-Type"), raw)
		} else {
			err = k.forget(m[1], m[2])
		}
		if err != nil {
			refuse(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
			return
		}
	}
	answer.copyTo(w)
}

// named is what a file below names holds.
type named struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
}

func (k *Kept) nameFile(name, reference string) string {
	return filepath.Join(k.dir, "names", url.PathEscape(name), url.PathEscape(reference))
}

func (k *Kept) manifestFile(digest string) string {
	return filepath.Join(k.dir, "manifests", strings.TrimPrefix(digest, "sha256:"))
}

func (k *Kept) keep(name, reference, mediaType string, raw []byte) error {
	sum := sha256.Sum256(raw)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	entry, err := json.Marshal(named{digest, mediaType})
	if err != nil {
		return err
	}
	if err := writeWhole(k.manifestFile(digest), raw); err != nil {
		return err
	}
	for _, reference := range []string{digest, reference} {
		file := k.nameFile(name, reference)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := writeWhole(file, entry); err != nil {
			return err
		}
	}
	return nil
}

// forget removes a name; the manifest itself goes with the next collection.
func (k *Kept) forget(name, reference string) error {
	err := os.Remove(k.nameFile(name, reference))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// tempPrefix begins the names of files that are not whole yet.
const tempPrefix = ".kn-lite-"

// writeWhole replaces a file, for its owner alone, so that a reader, also one after a
// crash, finds the old content or the new one.
func writeWhole(file string, raw []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), tempPrefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(raw)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}

// restore makes the registry in memory from what the folder holds. What is broken is
// left out and removed: whoever needs it pushes it again.
func (k *Kept) restore(ctx context.Context) error {
	memory := withSubjects(manifestsOver(k.dir))
	var failed []error
	// Indexes come after what they list; manifests that are named by tags, last.
	for _, index := range []bool{false, true} {
		err := k.eachName(func(name, reference, file string, entry named) {
			isIndex := strings.Contains(entry.MediaType, "index") || strings.Contains(entry.MediaType, "manifest.list")
			if isIndex != index {
				return
			}
			if !k.replay(ctx, memory, name, reference, entry) {
				failed = append(failed, os.Remove(file))
			}
		})
		if err != nil {
			return fault.New(fault.Failure, "registry.open", k.dir, "%w", err)
		}
	}
	k.memory.Store(&memory)
	return errors.Join(failed...)
}

func (k *Kept) replay(ctx context.Context, memory http.Handler, name, reference string, entry named) bool {
	raw, err := os.ReadFile(k.manifestFile(entry.Digest))
	if err != nil {
		return false
	}
	if sum := sha256.Sum256(raw); "sha256:"+hex.EncodeToString(sum[:]) != entry.Digest {
		return false
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "/v2/"+name+"/manifests/"+reference, bytes.NewReader(raw))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", entry.MediaType)
	answer := &recorded{header: http.Header{}}
	memory.ServeHTTP(answer, r)
	return answer.status < http.StatusMultipleChoices
}

// eachName calls f with every name there is.
func (k *Kept) eachName(f func(name, reference, file string, entry named)) error {
	root := filepath.Join(k.dir, "names")
	names, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, n := range names {
		references, err := os.ReadDir(filepath.Join(root, n.Name()))
		if err != nil {
			return err
		}
		name, err := url.PathUnescape(n.Name())
		if err != nil {
			continue
		}
		for _, r := range references {
			file := filepath.Join(root, n.Name(), r.Name())
			reference, err := url.PathUnescape(r.Name())
			raw, readErr := os.ReadFile(file)
			var entry named
			if err != nil || readErr != nil || strings.HasPrefix(r.Name(), tempPrefix) || json.Unmarshal(raw, &entry) != nil {
				_ = os.Remove(file)
				continue
			}
			f(name, reference, file, entry)
		}
	}
	return nil
}

// recorded is an answer of the registry in memory.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *recorded) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *recorded) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *recorded) Write(raw []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(raw)
}

func (a *recorded) copyTo(w http.ResponseWriter) {
	for key, values := range a.header {
		w.Header()[key] = values
	}
	w.WriteHeader(max(a.status, http.StatusOK))
	_, _ = w.Write(a.body.Bytes()) // whoever has gone does not read it
}
