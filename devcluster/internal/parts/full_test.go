package parts

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// The real thing, from an empty cache: minutes when Go's build cache is empty
// too, so only with FULL=1 (and -timeout 60m).
func TestEnsureFromEmptyCache(t *testing.T) {
	if os.Getenv("FULL") == "" {
		t.Skip("set FULL=1 to compile the whole set")
	}
	cache := t.TempDir()
	started := time.Now()
	set, err := Ensure(t.Context(), cache, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("empty cache: %s", time.Since(started).Round(time.Second))
	started = time.Now()
	again, err := Ensure(t.Context(), cache, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took > 200*time.Millisecond {
		t.Errorf("complete cache: %s, want under 200 ms", took)
	}
	if set.Node != again.Node || len(again.Images) != len(imageSpecs()) {
		t.Errorf("second set differs: %+v", again)
	}
	out, err := exec.Command(set.Node, "kubelet", "--version").CombinedOutput()
	if err != nil || string(out) != "Kubernetes "+KubernetesVersion+"\n" {
		t.Errorf("kubelet --version: %q, %v", out, err)
	}
}
