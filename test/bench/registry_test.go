//go:build bench

package bench

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/test/toolenv"
)

// serveRegistry starts kn-lite's registry on loopback. It is a process of its
// own: what this one holds in memory hides what its children need (see
// measured.peak).
func serveRegistry(t *testing.T) (host string) {
	t.Helper()
	cmd := exec.Command(program(t, "kn-lite"), "registry", "serve", "--address", "127.0.0.1:0")
	cmd.Env = append(toolenv.Home(t.TempDir()), "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), ignoreExit(cmd.Wait())); err != nil {
			t.Errorf("registry: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("registry: %q: %v", line, err)
	}
	return strings.TrimSpace(line)
}

// ignoreExit leaves out how a program ended that was interrupted.
func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// environment is that of a developer with empty settings and the usual caches of
// toolchains, and more.
func environment(t *testing.T, more ...string) []string {
	t.Helper()
	tools, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(tools, toolenv.Home(t.TempDir()), []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, more)
}
