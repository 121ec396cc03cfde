package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/internal/registry"
)

// served runs a registry with its folder in temp, and a clock that can be set.
func served(t *testing.T, temp string, now func() time.Time, names ...string) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, Options{Temp: temp, Names: names, Now: now}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(temp, serveFolder+"*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
	return listener.Addr().String()
}

// ask sends a request and returns its status and headers.
func ask(t *testing.T, method, url string, body io.Reader, headers ...string) (int, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header
}

func TestServeAnswersToItsOwnNames(t *testing.T) {
	address := served(t, t.TempDir(), nil, "box.example")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		address: 200, "localhost:" + port: 200, "LOCALHOST": 200, "localhost.": 200, "[::1]:" + port: 200, "10.1.2.3:5000": 200, "box.example:5000": 200,
		"evil.example:" + port: 421, "evil.example": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "box.example.evil": 421, "127.1": 421,
	} {
		if got, _ := ask(t, http.MethodGet, "http://"+address+"/v2/", nil, "Host", host); got != want {
			t.Errorf("Host %s: %d, want %d", host, got, want)
		}
	}
	for _, headers := range [][]string{
		{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "http://127.0.0.1:1"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
	} {
		if got, _ := ask(t, http.MethodPost, "http://"+address+"/v2/me/app/blobs/uploads/", nil, headers...); got != 403 {
			t.Errorf("%q: %d", headers, got)
		}
	}
	if got, _ := ask(t, http.MethodPost, "http://"+address+"/v2/me/app/blobs/uploads/", nil, "Origin", "http://"+address); got != 202 {
		t.Errorf("its own page: %d", got)
	}
}

func TestServeExpiresUploads(t *testing.T) {
	temp, now := t.TempDir(), time.Unix(1_000_000, 0)
	address := served(t, temp, func() time.Time { return now })
	start := func() string {
		status, header := ask(t, http.MethodPost, "http://"+address+"/v2/me/app/blobs/uploads/", nil)
		if status != 202 {
			t.Fatalf("status %d", status)
		}
		return "http://" + address + header.Get("Location")
	}
	old := start()
	if status, header := ask(t, http.MethodPatch, old, strings.NewReader("1234")); status != 202 || header.Get("Range") != "0-3" {
		t.Fatalf("status %d, range %s", status, header.Get("Range"))
	}
	now = now.Add(uploadLife / 2)
	alive := start()
	now = now.Add(uploadLife/2 + time.Second)
	start()
	if status, _ := ask(t, http.MethodPatch, old, strings.NewReader("5")); status != 404 {
		t.Errorf("an expired upload: %d", status)
	}
	if status, _ := ask(t, http.MethodPatch, alive, strings.NewReader("5")); status != 202 {
		t.Errorf("another one: %d", status)
	}
	files, err := filepath.Glob(filepath.Join(temp, serveFolder+"*", "uploads", "*"))
	if err != nil || len(files) != 2 {
		t.Errorf("%q, %v", files, err)
	}
}

func TestServeUploads(t *testing.T) {
	address := served(t, t.TempDir(), nil)
	content := "0123456789"
	sum := sha256.Sum256([]byte(content))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	repository := "http://" + address + "/v2/me/app/blobs/"
	session := func() string {
		_, header := ask(t, http.MethodPost, repository+"uploads/", nil)
		return "http://" + address + header.Get("Location")
	}
	at := session()
	for _, step := range []struct {
		method, url, body, span string
		want                    int
	}{
		{http.MethodPatch, at, content[:4], "0-3", 202},
		{http.MethodPatch, at, content[6:], "6-9", 416},
		{http.MethodGet, at, "", "", 204},
		{http.MethodPatch, at, content[4:], "4-9", 202},
		{http.MethodPut, at + "?digest=" + digest, "", "", 201},
		{http.MethodGet, at, "", "", 404},
		{http.MethodHead, repository + digest, "", "", 200},
		{http.MethodPut, session() + "?digest=" + digest, "other", "", 400},
		{http.MethodPut, session() + "?digest=sha256:../../x", "other", "", 400},
		{http.MethodPost, repository + "uploads/?digest=" + digest, content, "", 201},
		{http.MethodPost, repository + "uploads/?mount=" + digest + "&from=other", "", "", 201},
		{http.MethodGet, repository + "sha256:" + strings.Repeat("0", 64), "", "", 404},
		{http.MethodGet, repository + "sha256:..%2f..%2flock", "", "", 404},
		{http.MethodGet, "http://" + address + "/v2/../blobs/uploads/" + strings.Repeat("a", 32), "", "", 404},
		{http.MethodDelete, session(), "", "", 204},
	} {
		var headers []string
		if step.span != "" {
			headers = []string{"Content-Range", step.span}
		}
		if got, _ := ask(t, step.method, step.url, strings.NewReader(step.body), headers...); got != step.want {
			t.Errorf("%s %s %s: %d, want %d", step.method, step.url, step.span, got, step.want)
		}
	}
}

// A layer passes through in pieces.
func TestServeStreams(t *testing.T) {
	address := served(t, t.TempDir(), nil)
	const size = 128 << 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	h := sha256.New()
	if _, err := io.CopyN(h, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	digest := "sha256:" + hex.EncodeToString(h.Sum(nil))
	if got, _ := ask(t, http.MethodPost, "http://"+address+"/v2/me/app/blobs/uploads/?digest="+digest, io.LimitReader(zeros{}, size)); got != 201 {
		t.Fatalf("status %d", got)
	}
	if got, _ := ask(t, http.MethodGet, "http://"+address+"/v2/me/app/blobs/"+digest, nil); got != 200 {
		t.Fatalf("status %d", got)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
		t.Errorf("a layer of %d MB cost %d MB of memory", size>>20, used>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The folder of a registry that was killed goes at the next start; that of one
// that runs, and what is not a registry's, stay.
func TestServeCleansUpAfterTheKilled(t *testing.T) {
	temp := t.TempDir()
	running, remove, err := openTempFolder(temp, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(temp, serveFolder+"1")
	starting := filepath.Join(temp, serveFolder+"2")
	other := filepath.Join(temp, "other")
	for _, dir := range []string{killed, starting, other} {
		if err := os.MkdirAll(filepath.Join(dir, "sha256"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(killed, lockName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, removeNext, err := openTempFolder(temp, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]bool{running: true, killed: false, starting: true, other: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", dir, err, want)
		}
	}
	if _, _, err := openTempFolder(temp, func() time.Time { return time.Now().Add(2 * startingFor) }); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(starting); err == nil {
		t.Error("a folder without a lock stays for ever")
	}
	for _, end := range []func() error{remove, removeNext} {
		if err := end(); err != nil {
			t.Error(err)
		}
	}
}

// TestServe pushes to the registry, asks it for referrers, and ends it.
func TestServe(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, Options{}) }()
	client, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	image, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	ref, err := client.Push(t.Context(), image, host+"/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	_, digest, _ := strings.Cut(ref, "@")
	resp, err := http.Get("http://" + host + "/v2/team/app/referrers/" + digest)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("referrers: %d %s %v", resp.StatusCode, body, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
