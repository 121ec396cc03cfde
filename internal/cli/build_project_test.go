package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kn-lite/kn-lite/internal/build/basetest"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

// keyLab is a registry with a base image in it, and machines that build.
type keyLab struct {
	t      *testing.T
	server *regtest.Server
	host   string
	env    map[string]string // beside what every build has
	bases  int               // that were pushed
}

func newKeyLab(t *testing.T) *keyLab {
	t.Helper()
	server := regtest.New()
	host, stop, err := regtest.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	l := &keyLab{t: t, server: server, host: host}
	l.pushBase()
	return l
}

// pushBase gives the base's tag a new image.
func (l *keyLab) pushBase() {
	l.t.Helper()
	l.bases++
	programs, err := basetest.Layer(fmt.Sprint(l.bases))
	if err != nil {
		l.t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, programs)
	if err != nil {
		l.t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		l.t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if image, err = mutate.ConfigFile(image, config); err != nil {
		l.t.Fatal(err)
	}
	client, err := registry.New(registry.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Push(l.t.Context(), image, l.host+"/base/node:22"); err != nil {
		l.t.Fatal(err)
	}
}

// clone is the project on a machine that has never seen it.
func (l *keyLab) clone() string {
	l.t.Helper()
	dir := l.t.TempDir()
	for name, text := range map[string]string{
		"func.yaml":    "specVersion: 0.36.0\nname: hello\nruntime: node\n",
		"package.json": `{"scripts":{"start":"node index.js"}}`,
		"index.js":     "1",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	return dir
}

// build runs build --push with the caches in home and returns its answer, its
// stderr, and the requests that it made.
func (l *keyLab) build(home, dir string, args ...string) (answer, log string, requests []string) {
	l.t.Helper()
	sys, stdout, stderr := testSystem(l.t, append([]string{"build", dir, "--push", "--base-image", l.host + "/base/node:22"}, args...)...)
	env := map[string]string{"HOME": home, "KN_LITE_REGISTRY": l.host + "/me"}
	maps.Copy(env, l.env)
	sys.Env = func(name string) string { return env[name] }
	sys.Now = time.Now
	before := len(l.server.Log())
	if code := Main(context.Background(), sys); code != 0 {
		l.t.Fatalf("exit %d: %s", code, stderr)
	}
	return strings.TrimSpace(stdout.String()), stderr.String(), l.server.Log()[before:]
}

func writes(requests []string) []string {
	return slices.DeleteFunc(slices.Clone(requests), func(r string) bool {
		return strings.HasPrefix(r, "HEAD ") || strings.HasPrefix(r, "GET ")
	})
}

// An unchanged clone on another machine asks three questions and writes nothing:
// what the base's tag means, what the key's tag means, what the image's tag means.
func TestCloneOnAnotherMachine(t *testing.T) {
	l := newKeyLab(t)
	first, _, requests := l.build(t.TempDir(), l.clone())
	if len(writes(requests)) == 0 {
		t.Fatal("the first build pushes nothing, the test is broken")
	}
	again, stderr, requests := l.build(t.TempDir(), l.clone())
	if again != first || !strings.Contains(stderr, "unchanged") {
		t.Errorf("%s, not %s:\n%s", again, first, stderr)
	}
	manifests := slices.DeleteFunc(slices.Clone(requests), func(r string) bool { return !strings.HasPrefix(r, "HEAD /v2/") })
	if len(writes(requests)) > 0 || len(manifests) != 3 {
		t.Errorf("requests: %q", requests)
	}
	t.Logf("requests: %q", requests)
}

// Somebody moved the tag away; the image is still there, so one manifest is written.
func TestUnchangedBringsTheTagBack(t *testing.T) {
	l := newKeyLab(t)
	home, dir := t.TempDir(), l.clone()
	first, _, _ := l.build(home, dir)
	change := filepath.Join(dir, "index.js")
	if err := os.WriteFile(change, []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.build(home, dir)
	for _, machine := range []string{home, t.TempDir()} {
		back, stderr, requests := l.build(machine, l.clone())
		if back != first || !strings.Contains(stderr, "unchanged") {
			t.Errorf("%s, not %s:\n%s", back, first, stderr)
		}
		if got := writes(requests); len(got) > 1 {
			t.Errorf("wrote %q", got)
		}
	}
	digest, _ := l.server.Tag("me/hello", "latest")
	if !strings.HasSuffix(first, digest) {
		t.Errorf("latest is %s, want %s", digest, first)
	}
}

// A base whose tag has moved is another input, on every machine.
func TestMovedBaseIsBuiltAgain(t *testing.T) {
	l := newKeyLab(t)
	home, dir := t.TempDir(), l.clone()
	first, _, _ := l.build(home, dir)
	l.pushBase()
	for _, machine := range []string{home, t.TempDir()} {
		second, stderr, _ := l.build(machine, dir)
		if second == first {
			t.Errorf("the old base is in the image:\n%s", stderr)
		}
	}
}

// --no-cache does not look, and what it makes can be found afterwards.
func TestNoCache(t *testing.T) {
	l := newKeyLab(t)
	home, dir := t.TempDir(), l.clone()
	first, _, _ := l.build(home, dir, "--no-cache")
	second, stderr, _ := l.build(home, dir, "--no-cache")
	if second != first || strings.Contains(stderr, "unchanged") {
		t.Errorf("%s, not %s:\n%s", second, first, stderr)
	}
	if _, stderr, _ := l.build(t.TempDir(), dir); !strings.Contains(stderr, "unchanged") {
		t.Errorf("not found afterwards:\n%s", stderr)
	}
}
