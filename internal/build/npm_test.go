//go:build unix

package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// tinyPackage is an npm package with a program, and an install script that
// leaves a file behind.
func tinyPackage(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	for _, f := range []file{
		{"package/package.json", `{"name":"tiny","version":"1.0.0","bin":"cli.js","scripts":{"install":"node -e \"require('fs').writeFileSync('compiled','1')\""}}`},
		{"package/cli.js", "#!/usr/bin/env node\n"},
		{"package/index.js", "module.exports = 'tiny'\n"},
	} {
		if err := tw.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// npmRegistry serves tiny on loopback and counts what it is asked.
func npmRegistry(t *testing.T) (url, integrity string, asked *atomic.Int64) {
	t.Helper()
	tgz := tinyPackage(t)
	sum := sha512.Sum512(tgz)
	integrity = "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	asked = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/tiny/-/tiny-1.0.0.tgz" {
			http.NotFound(w, r)
			return
		}
		if _, err := w.Write(tgz); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, integrity, asked
}

func TestNpmDependencies(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm")
	}
	url, integrity, asked := npmRegistry(t)
	dir := project(t,
		file{"package.json", `{"name":"app","version":"1.0.0","scripts":{"start":"tiny","prepare":"exit 1"},"dependencies":{"tiny":"1.0.0"}}`},
		file{"package-lock.json", fmt.Sprintf(`{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{
			"":{"name":"app","version":"1.0.0","hasInstallScript":true,"dependencies":{"tiny":"1.0.0"}},
			"node_modules/tiny":{"version":"1.0.0","resolved":"%s/tiny/-/tiny-1.0.0.tgz","integrity":"%s","hasInstallScript":true,"bin":{"tiny":"cli.js"}}}}`, url, integrity)},
		file{".npmrc", "registry=" + url + "/\n//" + strings.TrimPrefix(url, "http://") + "/:_authToken=canary\n"},
		file{"index.js", "1"},
		file{"node_modules/tiny/index.js", "stale, from the developer's own npm install"},
	)
	s := spec(t, dir)
	s.Environ = append(os.Environ(), "CI=", "npm_config_cache="+t.TempDir(), "npm_config_update_notifier=false")
	r := build(t, s)
	files := entriesOf(t, r.Image)
	if h := files["app/node_modules/.bin/tiny"]; h == nil || h.Linkname != "../tiny/cli.js" {
		t.Errorf("the dependency's program: %+v", h)
	}
	for name, want := range map[string]bool{
		"app/node_modules/tiny/index.js": true, "app/node_modules/tiny/compiled": true, "app/index.js": true,
		"app/.npmrc": false, "app/node_modules/.package-lock.json": false, "app/node_modules/.npmrc": false,
	} {
		if got := files[name] != nil; got != want {
			t.Errorf("%s is in the image: %v, want %v", name, got, want)
		}
	}
	if got := r.Builds[0].Layers; len(got) != 2 || got[0].Name != "dependencies" || got[1].Name != "application" {
		t.Errorf("layers = %+v", got)
	}

	// An edit of the application runs no npm: the one there is now only tells its version.
	before := asked.Load()
	if before == 0 {
		t.Error("npm asked the registry for nothing: the test is broken")
	}
	if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte("2"), 0o644); err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(node, filepath.Join(bin, "node")); err != nil {
		t.Fatal(err)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n[ \"$1\" = --version ] && exec "+npm+" --version\nexit 9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	s.Environ = append(s.Environ, "PATH="+bin)
	again := build(t, s)
	if !again.Builds[0].Layers[0].Cached || again.Builds[0].Layers[0].Digest != r.Builds[0].Layers[0].Digest || again.Digest == r.Digest {
		t.Errorf("second build: %+v", again.Builds[0].Layers)
	}
	if got := asked.Load(); got != before {
		t.Errorf("the registry was asked %d more times", got-before)
	}
}

// A lockfile that does not fit is the user's to mend: npm's words and exit code 7.
func TestNpmFailure(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm")
	}
	dir := project(t,
		file{"package.json", `{"name":"app","version":"1.0.0","scripts":{"start":"tiny"},"dependencies":{"tiny":"2.0.0"}}`},
		file{"package-lock.json", `{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"dependencies":{}}}}`},
		file{".npmrc", "registry=http://127.0.0.1:1/\nfetch-retries=0\n"},
	)
	s := spec(t, dir)
	s.Environ = append(os.Environ(), "CI=", "npm_config_cache="+t.TempDir())
	failsWith(t, s, "npm could not install the dependencies\n", "npm install")
	entries, err := os.ReadDir(filepath.Join(s.CacheDir, "node"))
	if err != nil || len(entries) > 0 {
		t.Errorf("left %v, %v", entries, err)
	}
}
