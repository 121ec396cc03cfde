//go:build e2e

// Package e2e runs kn-lite against real Knative. It is told where that is by
// KN_LITE_E2E_* variables and never looks for a cluster by itself; test/e2e/run
// brings a devcluster up, sets them and takes it down again.
package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/test/toolenv"
)

// target is the cluster under test and the programs that are pointed at it.
type target struct {
	Kubeconfig string
	Registry   string // host:port that both this machine and the node reach
	Ingress    string // host:port of the ingress, as seen from here
	Bin        string // folder with kn-lite, kubectl and kn
	NodeBase   string // base image for the Node template
	JavaBase   string // and for the Java ones
	HelloWorld string // Knative's own helloworld test image
	Platform   string // devcluster, or local: the embedded one

	env []string
}

// full reports whether the sizes for published figures were asked for.
func full() bool { return os.Getenv("FULL") == "1" }

func findTarget(t *testing.T) *target {
	t.Helper()
	c := &target{}
	for name, field := range map[string]*string{
		"KN_LITE_E2E_KUBECONFIG": &c.Kubeconfig,
		"KN_LITE_E2E_REGISTRY":   &c.Registry,
		"KN_LITE_E2E_INGRESS":    &c.Ingress,
		"KN_LITE_E2E_BIN":        &c.Bin,
		"KN_LITE_E2E_NODE_BASE":  &c.NodeBase,
		"KN_LITE_E2E_JAVA_BASE":  &c.JavaBase,
		"KN_LITE_E2E_HELLOWORLD": &c.HelloWorld,
		"KN_LITE_E2E_PLATFORM":   &c.Platform,
	} {
		if *field = os.Getenv(name); *field == "" {
			// Not skipped: a run that proves nothing must not look like one that does.
			t.Fatalf("%s is not set; run `make e2e`, or see test/e2e/README.md", name)
		}
	}
	tools, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	c.env = slices.Concat(tools, toolenv.Home(t.TempDir()), []string{
		"PATH=" + c.Bin + string(os.PathListSeparator) + os.Getenv("PATH"),
		"TMPDIR=" + os.TempDir(),
		"KUBECONFIG=" + c.Kubeconfig,
		"KN_LITE_REGISTRY=" + c.Registry + "/e2e",
		"KN_LITE_INGRESS=" + c.Ingress,
		"KN_LITE_BASE_IMAGE_NODE=" + c.NodeBase,
		"KN_LITE_BASE_IMAGE_JAVA=" + c.JavaBase,
	})
	return c
}

// program is the path of one of the programs in Bin, or of one on the PATH.
func (c *target) program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(c.Bin, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s: neither in %s nor on the PATH", name, c.Bin)
	}
	return path
}

// slug makes a namespace name from a test's name.
func slug(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, name)
	return strings.Trim(name[:min(len(name), 40)], "-")
}
