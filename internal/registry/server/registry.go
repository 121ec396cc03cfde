package server

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

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/buffered"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry/credentials"
)

// Registry is a registry whose content outlasts its process, in a folder:
//
//	DIR/sha256/HEX            blobs
//	DIR/manifests/HEX         manifests, by their digests
//	DIR/names/NAME/REFERENCE  the digest and the media type of a manifest; names are escaped
//
// Only one process may have the folder.
type Registry struct {
	dir      string
	password string
	route    *regexp.Regexp // of manifests
	blobs    *blobFiles
	memory   atomic.Pointer[http.Handler] // manifests, as clients see them

	mu sync.Mutex // one change of the names at a time
}

// ClientConfig returns the docker config.json that a client of a Registry at host needs.
func ClientConfig(host, password string) []byte {
	// Strings have a JSON form.
	raw, _ := credentials.Marshal([]credentials.Entry{{Host: host, Credential: credentials.Credential{User: "kn-lite", Password: password}}})
	return raw
}

// Open opens the folder dir and makes it where there is none. Who does not send
// the password, as a user of any name, gets 401.
func Open(ctx context.Context, dir, password string) (*Registry, error) {
	for _, sub := range []string{"sha256", "manifests", "names"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fault.New(fault.Failure, "registry.open", dir, "%w", err)
		}
	}
	_ = os.RemoveAll(filepath.Join(dir, "uploads")) // of a process that was killed
	reg := &Registry{dir: dir, password: password, route: manifestRoute()}
	var err error
	if reg.blobs, err = newBlobFiles(dir, time.Now, http.HandlerFunc(reg.manifests)); err != nil {
		return nil, fault.New(fault.Failure, "registry.open", dir, "%w", err)
	}
	return reg, reg.restore(ctx)
}

// ServeHTTP implements http.Handler. It asks for the password, and answers to
// localhost and to addresses in numbers only.
func (reg *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rejectForeign(nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, given, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(given), []byte(reg.password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="kn-lite"`)
			writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", "this registry belongs to the platform of one user, whose kn-lite knows the password")
			return
		}
		reg.blobs.ServeHTTP(w, r)
	})).ServeHTTP(w, r)
}

func manifestRoute() *regexp.Regexp {
	return regexp.MustCompile(nameRoute + `manifests/([A-Za-z0-9_][A-Za-z0-9._-]{0,127}|sha256:[0-9a-f]{64})$`)
}

// manifests writes down what the registry in memory accepts, before the client
// hears of it.
func (reg *Registry) manifests(w http.ResponseWriter, r *http.Request) {
	m := reg.route.FindStringSubmatch(r.URL.Path)
	if m == nil || r.Method != http.MethodPut && r.Method != http.MethodDelete {
		(*reg.memory.Load()).ServeHTTP(w, r)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		writeError(w, http.StatusRequestEntityTooLarge, "SIZE_INVALID", err.Error())
		return
	}
	reg.mu.Lock()
	defer reg.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(raw))
	answer := buffered.Serve(*reg.memory.Load(), r)
	if answer.Status < http.StatusMultipleChoices {
		if r.Method == http.MethodPut {
			err = reg.save(m[1], m[2], r.Header.Get("Content-Type"), raw)
		} else {
			err = reg.deleteNames(m[1], m[2])
		}
		if err != nil {
			// What is not on the disk is not to be read either.
			writeFailure(w, errors.Join(err, reg.restore(context.WithoutCancel(r.Context()))))
			return
		}
	}
	answer.CopyTo(w)
}

// nameEntry is what a file below names holds.
type nameEntry struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
}

func (reg *Registry) nameFile(name, reference string) string {
	return filepath.Join(reg.dir, "names", url.PathEscape(name), url.PathEscape(reference))
}

func (reg *Registry) manifestFile(digest string) string {
	return filepath.Join(reg.dir, "manifests", strings.TrimPrefix(digest, "sha256:"))
}

func (reg *Registry) save(name, reference, mediaType string, raw []byte) error {
	sum := sha256.Sum256(raw)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	entry, err := json.Marshal(nameEntry{digest, mediaType})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(reg.manifestFile(digest), raw, atomicfile.Options{}); err != nil {
		return err
	}
	for _, reference := range []string{digest, reference} {
		file := reg.nameFile(name, reference)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := atomicfile.Write(file, entry, atomicfile.Options{}); err != nil {
			return err
		}
	}
	return nil
}

// deleteNames removes a name; with a digest also the tags that lead to it, as other
// registries do. Else what was deleted would still be there.
func (reg *Registry) deleteNames(name, reference string) error {
	failed := []error{reg.deleteName(name, reference)}
	if !strings.HasPrefix(reference, "sha256:") {
		return failed[0]
	}
	var tags []string
	failed = append(failed, reg.eachName(func(of, tag, _ string, entry nameEntry) {
		if of == name && entry.Digest == reference {
			tags = append(tags, tag)
		}
	}))
	for _, tag := range tags {
		failed = append(failed, reg.deleteName(name, tag))
		r, err := http.NewRequest(http.MethodDelete, "/v2/"+name+"/manifests/"+tag, http.NoBody) //nolint:noctx // it goes to the memory, not over a network
		if err != nil {
			failed = append(failed, err)
			continue
		}
		buffered.Serve(*reg.memory.Load(), r)
	}
	return errors.Join(failed...)
}

// deleteName removes a name; the manifest itself goes with the next collection.
func (reg *Registry) deleteName(name, reference string) error {
	err := os.Remove(reg.nameFile(name, reference))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// restore makes the registry in memory from what the folder holds. What is broken is
// left out and removed: whoever needs it pushes it again.
func (reg *Registry) restore(ctx context.Context) error {
	memory := withSubjects(manifestsOver(reg.dir))
	var failed []error
	// Indexes come after what they list; manifests that are named by tags, last.
	for _, index := range []bool{false, true} {
		err := reg.eachName(func(name, reference, file string, entry nameEntry) {
			isIndex := strings.Contains(entry.MediaType, "index") || strings.Contains(entry.MediaType, "manifest.list")
			if isIndex != index {
				return
			}
			if !reg.replay(ctx, memory, name, reference, entry) {
				failed = append(failed, os.Remove(file))
			}
		})
		if err != nil {
			return fault.New(fault.Failure, "registry.open", reg.dir, "%w", err)
		}
	}
	reg.memory.Store(&memory)
	return errors.Join(failed...)
}

func (reg *Registry) replay(ctx context.Context, memory http.Handler, name, reference string, entry nameEntry) bool {
	raw, err := os.ReadFile(reg.manifestFile(entry.Digest))
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
	return buffered.Serve(memory, r).Status < http.StatusMultipleChoices
}

// eachName calls f with every name there is.
func (reg *Registry) eachName(f func(name, reference, file string, entry nameEntry)) error {
	root := filepath.Join(reg.dir, "names")
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
			var entry nameEntry
			if err != nil || readErr != nil || strings.HasPrefix(r.Name(), atomicfile.TempPrefix) || json.Unmarshal(raw, &entry) != nil {
				_ = os.Remove(file)
				continue
			}
			f(name, reference, file, entry)
		}
	}
	return nil
}
