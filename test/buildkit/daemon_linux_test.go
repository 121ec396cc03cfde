//go:build e2e

package buildkit_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/test/buildkit"
)

// TestDaemon builds an image without a base and looks at what stays behind.
func TestDaemon(t *testing.T) {
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	d, err := buildkit.Start(context.Background(), bin, dir)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "Dockerfile")
	if err := os.WriteFile(file, []byte("FROM scratch\nCOPY Dockerfile /d\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(folder, "out")
	args := d.Build(folder, file, "type=oci,tar=false,dest="+out)
	said, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if _, statErr := os.Stat(filepath.Join(out, "index.json")); err != nil || statErr != nil {
		t.Errorf("%v, %v\n%s", err, statErr, said)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), dir) {
		t.Errorf("something is still mounted:\n%s", mounts)
	}
	if exec.Command(d.Command("debug", "workers")[0], d.Command("debug", "workers")[1:]...).Run() == nil {
		t.Error("it still answers")
	}
}
