// Package regtest is an OCI registry that fails on command: go-containerregistry's
// in-memory registry, made strict where real ones are (blobs belong to a
// repository, a manifest is refused while a blob is missing, upload sessions
// are known or not), behind a layer that injects faults, and optionally behind
// basic or bearer authentication.
//
// A Server is an http.Handler. Pipe serves it without sockets, so that tests in
// a testing/synctest bubble see stalls and pauses of minutes pass at once;
// Listen serves it on loopback, with or without TLS.
package regtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/buffered"
)

// Server is a registry with faults. Configure it before it serves.
type Server struct {
	// Auth is "", "basic" or "bearer"; User and Password are what it accepts.
	// Anonymous clients then get tokens too, which are good for nothing but pull.
	Auth, User, Password string
	// KeepsParts makes ResetAfterReading leave in the session what has come.
	// Registries differ: docker-registry's session is worth nothing then.
	KeepsParts bool
	// WholeOnly refuses chunks, as Google's registries do.
	WholeOnly bool
	// NoReferrers makes it a registry of the time before OCI 1.1: it keeps no list of
	// what refers to a manifest.
	NoReferrers bool

	next   http.Handler // what answers when no fault does
	inner  http.Handler
	blobs  *store
	faults []*armed

	mu       sync.Mutex
	sessions map[string][]byte // what open uploads have got, by ID
	counts   map[Request]int   // requests seen so far
	log      []string          // "METHOD path" of every request, in order
	tokens   map[string]token  // issued bearer tokens
	scopes   []string          // scopes that tokens were asked for
	secrets  []string          // requests that carried Authorization: "host METHOD path"
	received atomic.Int64      // bytes of PATCHes
	closed   chan struct{}     // ends stalls
	closing  sync.Once
}

// New makes a registry with these faults armed.
func New(faults ...Fault) *Server {
	s := &Server{
		blobs:    &store{repos: map[string]map[string][]byte{}},
		sessions: map[string][]byte{},
		counts:   map[Request]int{},
		tokens:   map[string]token{},
		closed:   make(chan struct{}),
	}
	s.next = http.HandlerFunc(s.serve)
	quiet := log.New(io.Discard, "", 0)
	s.inner = registry.New(registry.Logger(quiet), registry.WithBlobHandler(s.blobs), registry.WithReferrersSupport(true))
	for _, f := range faults {
		s.faults = append(s.faults, &armed{Fault: f})
	}
	return s
}

// InFront puts faults before another registry, which answers all that they let
// through. The Server has no content and asks for no credentials of its own.
func InFront(next http.Handler, faults ...Fault) *Server {
	s := New(faults...)
	s.next = next
	return s
}

// Close ends every stalled request.
func (s *Server) Close() { s.closing.Do(func() { close(s.closed) }) }

// ServeHTTP implements http.Handler: note, authenticate or inject, then answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := classify(r)
	s.mu.Lock()
	s.log = append(s.log, r.Method+" "+r.URL.Path)
	s.counts[kind]++
	var fault *armed
	for _, f := range s.faults {
		if f.matches(kind, s.counts[kind]) {
			f.fired++
			fault = f
			break
		}
	}
	s.mu.Unlock()
	if kind == PatchUpload {
		r.Body = &counted{r.Body, &s.received}
	}
	if fault != nil {
		fault.Do.serve(s, w, r, s.next)
		return
	}
	s.next.ServeHTTP(w, r)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == tokenPath {
		s.serveToken(w, r)
		return
	}
	if !s.authorized(w, r) {
		return
	}
	// The whole body is read first: the registry inside keeps what it got of a
	// broken one, and holds a lock while it reads.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	switch kind := classify(r); kind {
	case PostUpload:
		s.startUpload(w, r)
	case GetUpload:
		s.uploadStatus(w, r)
	case PatchUpload, PutUpload:
		s.continueUpload(w, r, kind, body)
	case PutManifest, PutTag:
		if missing := s.missing(repository(r.URL), body); missing != "" {
			writeError(w, http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "the repository has no "+missing)
			return
		}
		if subject := subjectOf(body); subject != "" && !s.NoReferrers {
			w.Header().Set("OCI-Subject", subject)
		}
		s.inner.ServeHTTP(w, r)
	case GetReferrers:
		if s.NoReferrers {
			writeError(w, http.StatusNotFound, "UNSUPPORTED", "there are no referrers here")
			return
		}
		s.inner.ServeHTTP(w, r)
	case GetBlob:
		s.serveBlob(w, r)
	default:
		s.inner.ServeHTTP(w, r)
	}
}

// startUpload opens a session, or mounts.
func (s *Server) startUpload(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if digest, from := query.Get("mount"), query.Get("from"); digest != "" && s.blobs.link(from, repository(r.URL), digest) {
		w.Header().Set("Location", "/v2/"+repository(r.URL)+"/blobs/"+digest)
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(http.StatusCreated)
		return
	}
	reply := buffered.Serve(s.inner, r)
	s.mu.Lock()
	s.sessions[path.Base(reply.Header().Get("Location"))] = []byte{}
	s.mu.Unlock()
	reply.CopyTo(w)
}

func (s *Server) continueUpload(w http.ResponseWriter, r *http.Request, kind Request, body []byte) {
	id := path.Base(r.URL.Path)
	s.mu.Lock()
	got, open := s.sessions[id]
	got = append(got, body...)
	s.mu.Unlock()
	if !open {
		writeError(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "the upload session is unknown")
		return
	}
	if s.WholeOnly && r.Header.Get("Content-Range") != "" {
		writeError(w, http.StatusBadRequest, "UNSUPPORTED", "chunks are not supported")
		return
	}
	// The registry inside checks the digest too, and logs what it finds to the
	// process's own log.
	if kind == PutUpload {
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(got)); r.URL.Query().Get("digest") != sum {
			writeError(w, http.StatusBadRequest, "DIGEST_INVALID", "what was uploaded has the digest "+sum)
			return
		}
	}
	reply := buffered.Serve(s.inner, r)
	s.mu.Lock()
	switch reply.Status {
	case http.StatusCreated:
		delete(s.sessions, id)
	case http.StatusAccepted:
		s.sessions[id] = got
	}
	s.mu.Unlock()
	reply.CopyTo(w)
}

// uploadStatus tells how much of an upload has come, which the registry inside
// does not.
func (s *Server) uploadStatus(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	got, open := s.sessions[path.Base(r.URL.Path)]
	s.mu.Unlock()
	if !open {
		writeError(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "the upload session is unknown")
		return
	}
	w.Header().Set("Location", r.URL.Path)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(0, len(got)-1)))
	w.WriteHeader(http.StatusNoContent)
}

// counted is a body that counts what is read of it.
type counted struct {
	io.ReadCloser
	total *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.total.Add(int64(n))
	return n, err
}

// serveBlob knows open-ended ranges, which the registry inside does not.
func (s *Server) serveBlob(w http.ResponseWriter, r *http.Request) {
	digest := path.Base(r.URL.Path)
	content, ok := s.blobs.get(repository(r.URL), digest)
	if !ok {
		writeError(w, http.StatusNotFound, "BLOB_UNKNOWN", "the repository has no blob "+digest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", digest)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// missing names the first thing that a manifest refers to and the repository
// does not have.
func (s *Server) missing(repo string, raw []byte) string {
	var m struct {
		Config    *v1.Descriptor  `json:"config"`
		Layers    []v1.Descriptor `json:"layers"`
		Manifests []v1.Descriptor `json:"manifests"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return "JSON in this manifest"
	}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, d := range m.Layers {
		if _, ok := s.blobs.get(repo, d.Digest.String()); !ok && d.MediaType.IsDistributable() {
			return "blob " + d.Digest.String()
		}
	}
	for _, d := range m.Manifests {
		if _, _, err := s.manifest(repo, d.Digest.String()); err != nil {
			return "manifest " + d.Digest.String()
		}
	}
	return ""
}

// subjectOf is what a manifest refers to, if anything.
func subjectOf(raw []byte) string {
	var m struct {
		Subject v1.Descriptor `json:"subject"`
	}
	if json.Unmarshal(raw, &m) != nil || m.Subject.Digest.Hex == "" {
		return ""
	}
	return m.Subject.Digest.String()
}

// manifest reads past faults and authentication.
func (s *Server) manifest(repo, identifier string) (raw []byte, digest string, err error) {
	reply := buffered.Serve(s.inner, &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/v2/" + repo + "/manifests/" + identifier},
		Header: http.Header{}, Body: http.NoBody,
	})
	if reply.Status != http.StatusOK {
		return nil, "", fmt.Errorf("%s in %s: %d", identifier, repo, reply.Status)
	}
	return reply.Body.Bytes(), reply.Header().Get("Docker-Content-Digest"), nil
}

// Tag tells what a tag names now, and whether all of that is there: "" and
// false for a tag that does not exist.
func (s *Server) Tag(repo, tag string) (digest string, complete bool) {
	raw, digest, err := s.manifest(repo, tag)
	if err != nil {
		return "", false
	}
	return digest, len(raw) > 0 && s.complete(repo, raw)
}

func (s *Server) complete(repo string, raw []byte) bool {
	if s.missing(repo, raw) != "" {
		return false
	}
	var index struct {
		Manifests []v1.Descriptor `json:"manifests"`
	}
	if json.Unmarshal(raw, &index) != nil {
		return false
	}
	for _, d := range index.Manifests {
		child, _, err := s.manifest(repo, d.Digest.String())
		if err != nil || !s.complete(repo, child) {
			return false
		}
	}
	return true
}

func writeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`+"\n", code, message)
}

// repository is the NAME in /v2/NAME/{blobs,manifests,referrers,tags}/…
func repository(u *url.URL) string {
	name := strings.TrimPrefix(u.Path, "/v2/")
	for _, part := range []string{"/blobs/", "/manifests/", "/referrers/", "/tags/"} {
		if i := strings.LastIndex(name, part); i >= 0 {
			return name[:i]
		}
	}
	return name
}

// store keeps blobs by repository. It implements ggcr's blob handlers.
type store struct {
	mu    sync.Mutex
	repos map[string]map[string][]byte
}

func (s *store) get(repo, digest string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.repos[repo][digest]
	return content, ok
}

func (s *store) put(repo, digest string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos[repo] == nil {
		s.repos[repo] = map[string][]byte{}
	}
	s.repos[repo][digest] = content
}

// link gives repository to what from has.
func (s *store) link(from, to, digest string) bool {
	content, ok := s.get(from, digest)
	if ok {
		s.put(to, digest, content)
	}
	return ok
}

// repoOf is the repository that ggcr means: for uploads it takes the part
// "blobs" of the path for the end of the name.
func repoOf(name string) string { return strings.TrimSuffix(name, "/blobs") }

func (s *store) Get(_ context.Context, repo string, h v1.Hash) (io.ReadCloser, error) {
	content, ok := s.get(repoOf(repo), h.String())
	if !ok {
		return nil, registry.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

func (s *store) Stat(_ context.Context, repo string, h v1.Hash) (int64, error) {
	content, ok := s.get(repoOf(repo), h.String())
	if !ok {
		return 0, registry.ErrNotFound
	}
	return int64(len(content)), nil
}

func (s *store) Put(_ context.Context, repo string, h v1.Hash, rc io.ReadCloser) error {
	content, err := io.ReadAll(rc)
	err = errors.Join(err, rc.Close())
	if err == nil {
		s.put(repoOf(repo), h.String(), content)
	}
	return err
}
