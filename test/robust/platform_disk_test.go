//go:build e2e

package robust

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fill writes to a volume until it has only so many bytes left.
func fill(t *testing.T, dir string, leave int) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		err = f.Truncate(size - int64(leave))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// api asks the platform's API server.
func (p *platform) api(method, path string, body any) (status int, answer string) {
	p.t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.state, "kn-lite/local/platform.json"))
	var info struct {
		API, Token string
		CA         []byte
	}
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	if err == nil && body != nil {
		raw, err = json.Marshal(body)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(info.CA)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	request, err := http.NewRequest(method, info.API+path, bytes.NewReader(raw))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+info.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(read)
}

// TestPlatformDiskFull fills the disk under a platform: what cannot be stored is
// refused in those words, nothing of it is to be seen, and with room again it works.
func TestPlatformDiskFull(t *testing.T) {
	l := newLab(t)
	place := l.newPlace(t, projects()[0])
	p := &platform{place: place, state: volume(t, 64<<10)}
	p.must("func", "create", "server", "-l", "go")
	p.up()
	t.Cleanup(func() { p.must("local", "down", "--purge") })
	p.must("deploy", "server")

	fill(t, p.state, 64<<10)
	code, _, stderr := p.run("deploy", "server", "--env", "CHANGED=1")
	if code != 0 { // only its settings have changed: the image is there
		t.Errorf("deploy of an image that is there: exit %d\n%s", code, stderr)
	}
	handler := filepath.Join(p.command().Dir, "server", "handle.go")
	source, err := os.ReadFile(handler)
	if err == nil {
		err = os.WriteFile(handler, bytes.ReplaceAll(source, []byte("Hello"), []byte("Goodbye")), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr = p.run("deploy", "server")
	if code != 1 || !strings.Contains(stderr, "no space left on device") || !strings.Contains(stderr, "the disk of the registry is full") ||
		!strings.Contains(stderr, p.state) || strings.Contains(stderr, "BLOB_UPLOAD_INVALID") {
		t.Errorf("push to a full disk: exit %d\n%s", code, stderr)
	}

	fill(t, p.state, 0)
	path := "/api/v1/namespaces/default/configmaps"
	large := map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]string{"name": "large"},
		"data": map[string]string{"value": strings.Repeat("x", 900<<10)},
	}
	status, answer := p.api(http.MethodPost, path, large)
	if status != http.StatusInternalServerError || !strings.Contains(answer, "the disk is full") || !strings.Contains(answer, "state.db") {
		t.Errorf("a write to a full disk: %d %s", status, answer)
	}
	if status, answer := p.api(http.MethodGet, path+"/large", nil); status != http.StatusNotFound {
		t.Errorf("what was refused is there: %d %.200s", status, answer)
	}
	if status, answer := p.api(http.MethodGet, path, nil); status != http.StatusOK || strings.Contains(answer, `"large"`) {
		t.Errorf("what was refused is listed: %d %.200s", status, answer)
	}
	if err := p.get("server"); err != nil {
		t.Errorf("what runs: %v", err)
	}

	if err := os.Remove(filepath.Join(p.state, "ballast")); err != nil {
		t.Fatal(err)
	}
	if status, answer := p.api(http.MethodPost, path, large); status != http.StatusCreated {
		t.Errorf("with room again: %d %.200s", status, answer)
	}
	p.must("deploy", "server")
}
