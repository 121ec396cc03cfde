package registry

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestParseHost(t *testing.T) {
	for text, want := range map[string]string{
		"ghcr.io": "ghcr.io", "https://ghcr.io/": "ghcr.io", "localhost:5000": "localhost:5000", "127.0.0.1:5000": "127.0.0.1:5000",
		"docker.io": "index.docker.io", "https://index.docker.io/v1/": "index.docker.io", "registry.example": "registry.example",
	} {
		if got, err := ParseHost(text); err != nil || got != want {
			t.Errorf("ParseHost(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "team", "ghcr.io/team", "https://", "ghcr.io:no", "GHCR IO"} {
		if got, err := ParseHost(text); fault.KindOf(err) != fault.Usage {
			t.Errorf("ParseHost(%q) = %q, %v, want a usage error", text, got, err)
		}
	}
}

// Whatever stands in a credentials file, an edit changes its entry and no more.
func TestEditAuths(t *testing.T) {
	for _, tt := range []struct{ name, before, want string }{
		{"no file", "", `{"auths":{"new":{}}}`},
		{"an empty object", `{}`, `{"auths":{"new":{}}}`},
		{"no entries", `{"auths":null}`, `{"auths":{"new":{}}}`},
		{
			"others", `{"HttpHeaders":{"A":"b"},"auths":{"old":{"auth":"eA==","email":"x"}},"psFormat":"<&>"}`,
			`{"HttpHeaders":{"A":"b"},"auths":{"new":{},"old":{"auth":"eA==","email":"x"}},"psFormat":"<&>"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "deep", "config.json")
			if tt.before != "" {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(tt.before), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := editAuths(place{path: path, label: path}, func(auths map[string]json.RawMessage) { auths["new"] = json.RawMessage("{}") })
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			raw, err := os.ReadFile(path)
			if err == nil {
				err = json.Unmarshal(raw, &got)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".kn-lite-*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(`{"auths":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := editAuths(place{path: path, label: path}, func(map[string]json.RawMessage) {}); fault.KindOf(err) != fault.Auth {
		t.Errorf("a list of entries: %v", err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != `{"auths":[]}` {
		t.Errorf("the file is %q now, %v", raw, err)
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
	go func() { ended <- Serve(ctx, listener, ServeOptions{}) }()
	client, err := New(Options{})
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
