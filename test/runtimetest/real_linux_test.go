package runtimetest_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/runtime"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
	"github.com/kn-lite/kn-lite/test/runtimetest"
)

// The sandbox starts this program once more.
func TestMain(m *testing.M) {
	if code, inside := sandbox.Inside(os.Args, os.Stdin, os.Stdout, rootfs.Guests()); inside {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func TestRuntime(t *testing.T) {
	r := open(t)
	runtimetest.Test(t, runtimetest.Subject{Runtime: r.Runtime, Ref: r.ref, Files: true, Users: r.users})
}

// machine is the platform's own runtime, with an image of the program.
type machine struct {
	*runtime.Runtime
	ref   string
	users bool
}

func open(t testing.TB) *machine {
	t.Helper()
	m := &machine{users: true}
	warn := func(text string) {
		t.Log(text)
		m.users = m.users && !strings.Contains(text, "one user only")
	}
	r, err := runtime.New(context.Background(), runtime.Options{Dir: t.TempDir(), Path: os.Getenv("PATH"), Warn: warn})
	if fault.KindOf(err) == fault.Conflict {
		t.Skipf("SKIPPED, no sandbox here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Purge(context.Background()), r.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	m.Runtime, m.ref = r, push(t)
	return m
}

// program is built once.
var program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "program-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", at, "./program")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return os.ReadFile(at)
})

// push makes an image of the program in a registry.
func push(t testing.TB) string {
	t.Helper()
	program, err := program()
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, h := range []*tar.Header{
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
		{Name: "program", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err == nil {
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{
			OS: "linux", Architecture: goruntime.GOARCH, RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs(t, image)},
			Config: v1.Config{Entrypoint: []string{"/program"}, Env: []string{"FROM_IMAGE=yes"}},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := regtest.Listen(regtest.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	client, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := client.Push(context.Background(), image, address+"/program:1")
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func diffIDs(t testing.TB, image v1.Image) []v1.Hash {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config.RootFS.DiffIDs
}
