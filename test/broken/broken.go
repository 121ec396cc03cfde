// Package broken is an image whose program fails in the way that $MODE names, and
// serves with MODE=ok: what tests of deploys and of platforms deploy.
package broken

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kn-lite/kn-lite/internal/registry"
)

// Push pushes the image for an architecture to a tag and returns it by its digest.
// The program is compiled once.
func Push(t testing.TB, o registry.Options, tag, arch string) string {
	t.Helper()
	binary, err := program(arch)
	if err != nil {
		t.Fatal(err)
	}
	image, err := imageOf(binary, arch)
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ref, err := client.Push(t.Context(), image, tag)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// compiled is the programs of this process, by architecture.
var compiled = struct {
	sync.Mutex
	programs map[string][]byte
}{programs: map[string][]byte{}}

func program(arch string) ([]byte, error) {
	compiled.Lock()
	defer compiled.Unlock()
	if raw := compiled.programs[arch]; raw != nil {
		return raw, nil
	}
	dir, err := os.MkdirTemp("", "broken-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "broken")
	cmd := exec.Command("go", "build", "-o", file, "github.com/kn-lite/kn-lite/test/broken/program")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	compiled.programs[arch], err = os.ReadFile(file)
	return compiled.programs[arch], err
}

func imageOf(program []byte, arch string) (v1.Image, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "broken", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	id, err := layer.DiffID()
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: arch,
		Config: v1.Config{Entrypoint: []string{"/broken"}, User: "65532"},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{id}},
	})
}
