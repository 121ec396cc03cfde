//go:build unix

package build

import (
	"archive/tar"
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// extract writes one file of an image to disk.
func extract(t *testing.T, image v1.Image, name string) string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[len(layers)-1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	for tr := tar.NewReader(content); ; {
		h, err := tr.Next()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if h.Name != name {
			continue
		}
		raw, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(file, raw, 0o755); err != nil {
			t.Fatal(err)
		}
		return file
	}
}

// ask starts a function, asks it once, and ends it as Kubernetes would.
func ask(t *testing.T, program string) string {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = []string{"LISTEN_ADDRESS=127.0.0.1:0"}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("the function says %q, %v", line, err)
	}
	resp, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the function ended with %v", err)
	}
	return string(body)
}

// failsWith builds and expects the build to fail with these words and this hint.
func failsWith(t *testing.T, s Spec, says, hint string) {
	t.Helper()
	_, err := Build(t.Context(), s)
	if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), says) || !strings.Contains(fault.HintOf(err), hint) {
		t.Errorf("err = %v; hint = %s", err, fault.HintOf(err))
	}
}
