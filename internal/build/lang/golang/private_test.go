package golang

import (
	"archive/zip"
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/source"
)

// moduleProxy serves example.com/private v1.0.0 over TLS to who knows the
// password. It returns its address and its certificate's file.
func moduleProxy(t *testing.T, refused *atomic.Int32) (address, certificate string) {
	t.Helper()
	var module bytes.Buffer
	w := zip.NewWriter(&module)
	for name, text := range map[string]string{"go.mod": "module example.com/private\n\ngo 1.24\n", "private.go": "package private\n\nconst Word = \"private\"\n"} {
		f, err := w.Create("example.com/private@v1.0.0/" + name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"list": "v1.0.0\n", "v1.0.0.info": `{"Version": "v1.0.0", "Time": "2024-01-01T00:00:00Z"}`,
		"v1.0.0.mod": "module example.com/private\n\ngo 1.24\n", "v1.0.0.zip": module.String(),
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ada" || password != "of-a-test" {
			refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		text, ok := files[strings.TrimPrefix(r.URL.Path, "/example.com/private/@v/")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	certificate = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, certificate
}

// A private module comes with the password of netrc, which is for the go command
// alone; without go.sum its checksum is of this build, and nothing is written to
// the project.
func TestPrivateModules(t *testing.T) {
	var refused atomic.Int32
	address, certificate := moduleProxy(t, &refused)
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	dir, home := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module hello\n\ngo 1.24\n\nrequire example.com/private v1.0.0\n",
		"main.go": "package main\n\nimport \"example.com/private\"\n\nfunc main() { println(private.Word) }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	netrc := filepath.Join(home, "netrc")
	if err := os.WriteFile(netrc, []byte("machine "+at.Host+" login ada password of-a-test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := source.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	})
	build := func(netrc string) error {
		p := &lang.Project{Dir: dir, Label: "hello", Source: tree, CacheDir: t.TempDir(), Platforms: []v1.Platform{{OS: "linux", Architecture: "amd64"}}}
		machine := lang.With(os.Environ(), "GOPROXY="+address, "GONOSUMDB=example.com/*", "GOFLAGS=-modcacherw", "GOMODCACHE="+t.TempDir(), "SSL_CERT_FILE="+certificate, "NETRC="+netrc)
		p.Environ, _ = Language{}.Variables(p).Select(machine)
		plan, err := Language{}.Plan(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Unlocked == nil {
			t.Error("the missing go.sum is not said")
		}
		layers, err := Language{}.Layers(t.Context(), p, plan, lang.Target{Platform: p.Platforms[0]})
		if err != nil {
			t.Fatal(err)
		}
		files, cleanup, err := layers[0].Files(t.Context())
		if err == nil && len(files) != 1 {
			t.Errorf("%d files", len(files))
		}
		if cleanup != nil {
			if err := cleanup(); err != nil {
				t.Error(err)
			}
		}
		return err
	}
	if err := build(netrc); err != nil {
		t.Error(err)
	}
	refused.Store(0)
	if err := build(filepath.Join(home, "none")); err == nil || !strings.Contains(err.Error(), "401") || refused.Load() == 0 {
		t.Errorf("without the password: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the project has %v, %v", entries, err)
	}
}
