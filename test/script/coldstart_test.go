//go:build unix

package script

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A measurement that is interrupted leaves no copy, whichever signal it was.
func TestInterruptedColdStart(t *testing.T) {
	t.Parallel()
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		p := newPipeline(t)
		var said bytes.Buffer
		cmd := exec.Command("kn-lite", "coldstart", "hello", "--revision", "v2")
		cmd.Dir, cmd.Env, cmd.Stderr = p.work, p.env, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		copies := func() string {
			list, _ := p.bash("kn-lite list -o name")
			return list
		}
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(copies(), "/hello-cold-"); {
			if time.Now().After(deadline) {
				t.Fatalf("there is no copy: %s", copies())
			}
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		exit, _ := errors.AsType[*exec.ExitError](cmd.Wait())
		if exit == nil || exit.ExitCode() != code {
			t.Errorf("%s: %v, want exit %d:\n%s", signal, exit, code, said.String())
		}
		if list := copies(); strings.Contains(list, "cold") || !strings.Contains(list, "/hello\n") {
			t.Errorf("%s: left behind: %s", signal, list)
		}
	}
}
