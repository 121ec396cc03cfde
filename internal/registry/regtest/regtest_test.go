package regtest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// serve runs do against a server inside a bubble.
func serve(t *testing.T, s *Server, do func(client *http.Client)) {
	t.Helper()
	net := NewNetwork()
	net.Add("reg:80", s, nil)
	transport := net.Transport(nil)
	// net/http repeats a GET by itself when a connection that was used before breaks.
	transport.DisableKeepAlives = true
	defer func() {
		transport.CloseIdleConnections()
		net.Close()
		synctest.Wait()
	}()
	do(&http.Client{Transport: transport})
}

func get(t *testing.T, c *http.Client, method, path, body string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequest(method, "http://reg"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	content, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp, string(content), err
}

func seeded(t *testing.T, faults ...Fault) (s *Server, blob string) {
	t.Helper()
	s = New(faults...)
	layer := static.NewLayer(bytes.Repeat([]byte("x"), 1000), types.OCILayer)
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Seed("a/b", "v1", image); err != nil {
		t.Fatal(err)
	}
	digest, err := layer.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return s, "/v2/a/b/blobs/" + digest.String()
}

func TestEachFaultIsWhatItSays(t *testing.T) {
	type reply struct {
		status int
		length int
		err    error
	}
	whole := reply{200, 1000, nil}
	tests := []struct {
		do   Action
		want reply
	}{
		{Status(503), reply{503, 53, nil}},
		{Reset(), reply{err: syscall.ECONNRESET}},
		{DropReply(), reply{err: syscall.ECONNRESET}},
		{ResetAfterWriting(100), reply{200, 100, syscall.ECONNRESET}},
		{Truncate(1), reply{200, 999, io.ErrUnexpectedEOF}},
		{WrongDigest(), whole},
		{FlipReply(), whole},
		{Slow(100), whole},
		{MalformedJSON(), reply{200, 14, nil}},
		{HTML(418), reply{418, 109, nil}},
		{BigError(5000), reply{500, 5000, nil}},
	}
	for _, tt := range tests {
		t.Run(tt.do.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, blob := seeded(t, Fault{On: GetBlob, Nth: 2, Do: tt.do})
				serve(t, s, func(c *http.Client) {
					if resp, body, err := get(t, c, http.MethodGet, blob, ""); err != nil || resp.StatusCode != http.StatusOK || len(body) != 1000 {
						t.Fatalf("the first request is not hit by the fault, got %v, %d bytes, %v", resp, len(body), err)
					}
					resp, body, err := get(t, c, http.MethodGet, blob, "")
					if !errors.Is(err, tt.want.err) || len(body) != tt.want.length || resp != nil && resp.StatusCode != tt.want.status {
						t.Errorf("got %v, %d bytes, %v; want %v", resp, len(body), err, tt.want)
					}
					if _, body, err := get(t, c, http.MethodGet, blob, ""); err != nil || body != strings.Repeat("x", 1000) {
						t.Errorf("the third request is not hit either, got %d bytes, %v", len(body), err)
					}
				})
				s.Verify(t)
			})
		})
	}
}

// TestInFront: one registry's content behind another's faults.
func TestInFront(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		behind, blob := seeded(t)
		s := InFront(behind, Fault{On: GetBlob, Do: Status(503)}, Fault{On: GetBlob, Nth: 2, Do: Truncate(1)})
		serve(t, s, func(c *http.Client) {
			for _, want := range []struct{ status, length int }{{503, 53}, {200, 999}, {200, 1000}} {
				resp, body, _ := get(t, c, http.MethodGet, blob, "")
				if resp == nil || resp.StatusCode != want.status || len(body) != want.length {
					t.Errorf("got %v, %d bytes; want %v", resp, len(body), want)
				}
			}
		})
		s.Verify(t)
		if s.Count(GetBlob) != 3 || behind.Count(GetBlob) != 2 {
			t.Errorf("%d requests in front, %d behind", s.Count(GetBlob), behind.Count(GetBlob))
		}
	})
}

func TestStallEndsWithTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, blob := seeded(t, Fault{On: GetBlob, Do: Stall()}, Fault{On: GetBlob, Nth: 2, Do: StallAfterWriting(10)})
		serve(t, s, func(c *http.Client) {
			c.Timeout = time.Minute
			for range 2 {
				started := time.Now()
				if _, body, err := get(t, c, http.MethodGet, blob, ""); err == nil || len(body) > 10 || time.Since(started) != time.Minute {
					t.Errorf("got %d bytes, %v after %v", len(body), err, time.Since(started))
				}
			}
		})
		s.Verify(t)
	})
}

func TestUnfiredFaultIsFound(t *testing.T) {
	s := New(Fault{On: PutTag, Do: Reset()})
	if got := s.Unfired(); len(got) != 1 || got[0].String() != "reset on PUT tag" {
		t.Errorf("unfired = %v", got)
	}
	inner := &recordingTB{TB: t}
	s.Verify(inner)
	if !inner.failed {
		t.Error("Verify is content with a fault that never fired")
	}
}

type recordingTB struct {
	testing.TB
	failed bool
}

func (r *recordingTB) Errorf(string, ...any) { r.failed = true }
func (r *recordingTB) Helper()               {}

// TestStrictness is what ggcr's registry would let pass and real ones do not.
func TestStrictness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, blob := seeded(t)
		serve(t, s, func(c *http.Client) {
			check := func(method, path, body string, status int, code string) {
				t.Helper()
				resp, got, err := get(t, c, method, path, body)
				if err != nil || resp.StatusCode != status || !strings.Contains(got, code) {
					t.Errorf("%s %s: %v %q %v, want %d %s", method, path, resp, got, err, status, code)
				}
			}
			other := strings.Replace(blob, "a/b", "other", 1)
			digest := blob[strings.LastIndex(blob, "/")+1:]
			check(http.MethodGet, other, "", 404, "BLOB_UNKNOWN")
			check(http.MethodPut, "/v2/other/manifests/v1", `{"config":{"digest":"`+digest+`"}}`, 404, "MANIFEST_BLOB_UNKNOWN")
			check(http.MethodPatch, "/v2/other/blobs/uploads/123", "x", 404, "BLOB_UPLOAD_UNKNOWN")
			check(http.MethodPost, "/v2/other/blobs/uploads/?mount="+digest+"&from=nobody", "", 202, "")
			check(http.MethodPost, "/v2/other/blobs/uploads/?mount="+digest+"&from=a/b", "", 201, "")
			check(http.MethodGet, other, "", 200, "xxx")
		})
		if digest, complete := s.Tag("a/b", "v1"); digest == "" || !complete {
			t.Errorf("the seeded tag is %q, complete: %v", digest, complete)
		}
		if digest, complete := s.Tag("a/b", "v2"); digest != "" || complete {
			t.Errorf("a tag that does not exist is %q, complete: %v", digest, complete)
		}
		delete(s.blobs.repos["a/b"], blob[strings.LastIndex(blob, "/")+1:])
		if _, complete := s.Tag("a/b", "v1"); complete {
			t.Error("a tag with a missing layer counts as complete")
		}
	})
}

func TestBearerGivesWhatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, blob := seeded(t)
		s.Auth, s.User, s.Password = "bearer", "u", "p"
		serve(t, s, func(c *http.Client) {
			try := func(user, scope, method, path string) int {
				t.Helper()
				req, err := http.NewRequest(http.MethodGet, "http://reg/token?scope="+scope, nil)
				if err != nil {
					t.Fatal(err)
				}
				if user != "" {
					req.SetBasicAuth(user, "p")
				}
				resp, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusOK {
					return resp.StatusCode
				}
				if req, err = http.NewRequest(method, "http://reg"+path, nil); err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+strings.Split(string(body), `"`)[3])
				if resp, err = c.Do(req); err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				return resp.StatusCode
			}
			uploads := "/v2/a/b/blobs/uploads/"
			for _, tt := range []struct {
				user, scope, method, path string
				want                      int
			}{
				{"", "repository:a/b:pull", http.MethodGet, blob, 200},
				{"", "repository:a/b:pull,push", http.MethodPost, uploads, 401},
				{"u", "repository:a/b:pull", http.MethodPost, uploads, 401},
				{"u", "repository:x:pull,push", http.MethodPost, uploads, 401},
				{"u", "repository:a/b:pull,push", http.MethodPost, uploads, 202},
				{"stranger", "repository:a/b:pull", http.MethodGet, blob, 401},
			} {
				if got := try(tt.user, tt.scope, tt.method, tt.path); got != tt.want {
					t.Errorf("%+v: got %d", tt, got)
				}
			}
		})
	})
}

func TestParseFault(t *testing.T) {
	for text, want := range map[string]string{
		"503 on PUT tag":                      "503 on PUT tag",
		"reset on PATCH upload always":        "reset on PATCH upload",
		"html-404 on *":                       "web page with 404 on *",
		"redirect-http://[::1]/ on HEAD blob": "redirect to http://[::1]/ on HEAD blob",
	} {
		f, err := ParseFault(text)
		if err != nil || f.String() != want || (f.Times < 0) != strings.HasSuffix(text, "always") {
			t.Errorf("%q: got %v, %v", text, f, err)
		}
	}
	for _, text := range []string{"", "503", "503 on PUT", "200 on PUT tag", "explode on PUT tag"} {
		if f, err := ParseFault(text); err == nil {
			t.Errorf("%q is taken for %v", text, f)
		}
	}
}
