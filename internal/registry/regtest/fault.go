package regtest

import (
	"net/http"
	"path"
	"strings"
	"testing"
)

// Request is a kind of request that a client makes.
type Request string

// The kinds. "manifest" is one asked for by digest, "tag" one asked for by tag.
const (
	Any          Request = "*"
	Ping         Request = "GET ping"
	Token        Request = "GET token"
	HeadBlob     Request = "HEAD blob"
	GetBlob      Request = "GET blob"
	PostUpload   Request = "POST upload"
	GetUpload    Request = "GET upload"
	PatchUpload  Request = "PATCH upload"
	PutUpload    Request = "PUT upload"
	HeadManifest Request = "HEAD manifest"
	GetManifest  Request = "GET manifest"
	PutManifest  Request = "PUT manifest"
	HeadTag      Request = "HEAD tag"
	GetTag       Request = "GET tag"
	PutTag       Request = "PUT tag"
	GetReferrers Request = "GET referrers"
	Other        Request = "other"
)

// Requests lists the kinds that faults can be put on.
func Requests() []Request {
	return []Request{
		Any, Ping, Token, HeadBlob, GetBlob, PostUpload, GetUpload, PatchUpload, PutUpload,
		HeadManifest, GetManifest, PutManifest, HeadTag, GetTag, PutTag, GetReferrers,
	}
}

func classify(r *http.Request) Request {
	p := r.URL.Path
	switch {
	case p == "/v2/" || p == "/v2":
		return Ping
	case p == tokenPath:
		return Token
	case strings.Contains(p, "/blobs/uploads/"):
		return Request(r.Method + " upload")
	case strings.Contains(p, "/blobs/"):
		return Request(r.Method + " blob")
	case strings.Contains(p, "/manifests/"):
		if strings.Contains(path.Base(p), ":") {
			return Request(r.Method + " manifest")
		}
		return Request(r.Method + " tag")
	case strings.Contains(p, "/referrers/"):
		return Request(r.Method + " referrers")
	}
	return Other
}

// Fault is one thing that goes wrong.
type Fault struct {
	On    Request
	Nth   int // the first request of its kind that it hits; 0 and 1 are the first
	Times int // how many in a row; 0 is 1, negative is for ever
	Do    Action
}

func (f Fault) String() string { return f.Do.Name + " on " + string(f.On) }

type armed struct {
	Fault
	fired int
}

func (f *armed) matches(kind Request, count int) bool {
	first, times := max(f.Nth, 1), f.Times
	if times == 0 {
		times = 1
	}
	if f.On == Any { // there is no count that would fit: the next requests, whatever they are
		return times < 0 || f.fired < times
	}
	return f.On == kind && count >= first && (times < 0 || count < first+times)
}

// Verify fails the test when a fault never fired: such a test proves nothing.
func (s *Server) Verify(t testing.TB) {
	t.Helper()
	for _, f := range s.Unfired() {
		t.Errorf("the fault never fired, the test is broken: %s", f)
	}
}

// Unfired lists the faults that no request has met.
func (s *Server) Unfired() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Fault
	for _, f := range s.faults {
		if f.fired == 0 {
			out = append(out, f.Fault)
		}
	}
	return out
}

// Count is how many requests of a kind have come so far.
func (s *Server) Count(kind Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[kind]
}

// Received is how many bytes of uploads have come so far, those of broken
// requests too.
func (s *Server) Received() int64 { return s.received.Load() }

// Log is every request so far, as "METHOD path".
func (s *Server) Log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}
