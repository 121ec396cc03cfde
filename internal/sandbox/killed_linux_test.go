package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const argPlatform = "sandbox-test-platform"

// platform is a process with two pods that do the same, and waits to be killed.
func platform(dir string, does []string) {
	if does[0] == "leave" {
		LeaveTerminal()
		does = does[1:]
	}
	box, err := Open(context.Background(), Options{Dir: dir, Path: os.Getenv("PATH")})
	for range 2 {
		var pod *Pod
		var root string
		if err == nil {
			pod, err = box.Pod(context.Background(), "hello")
		}
		if err == nil {
			root, err = box.Root()
		}
		if err == nil {
			var self []byte
			self, err = os.ReadFile("/proc/self/exe")
			err = errors.Join(err, os.WriteFile(filepath.Join(root, "probe"), self, 0o755))
		}
		if err == nil {
			_, err = pod.Start(context.Background(), Start{
				Root: root, Out: os.Stdout, Err: os.Stdout,
				Command: Command{Args: append([]string{"/probe", argMember}, does...), Dir: "/"},
			})
		}
	}
	fmt.Println("started:", err)
	time.Sleep(time.Hour)
}

// running lists the processes of this machine that have a word in their arguments.
func running(t *testing.T, word string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil && bytes.Contains(raw, []byte(word)) {
			out = append(out, file+": "+strings.ReplaceAll(string(raw), "\x00", " "))
		}
	}
	return out
}

// Whatever a pod has started, in sessions of its own too, ends with the program
// that made the pod, and the next one finds nothing of it.
func TestNothingOutlivesAKilledPlatform(t *testing.T) {
	openBox(t) // or skip
	if cgo := buildSetting("CGO_ENABLED"); cgo != "0" {
		t.Skipf("the program is this test's own, which has to be static: CGO_ENABLED=%s", cgo)
	}
	dir := t.TempDir()
	for round := range 5 {
		marker := fmt.Sprintf("family-%d-%d", os.Getpid(), round)
		var out locked
		cmd := exec.Command("/proc/self/exe", argPlatform, dir, "family", marker)
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.WaitDelay = time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out.await(t, "started: <nil>")
		for range 2000 { // two families of three, each of which has said so, and who started them
			if strings.Count(out.String(), "<nil>") >= 3 && len(running(t, marker)) == 7 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if left := running(t, marker); len(left) < 7 {
			t.Errorf("there run %q\n%s", left, out.String())
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		var left []string
		for range 1000 {
			if left = running(t, marker); len(left) == 0 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if len(left) > 0 {
			t.Errorf("after the platform: %q", left)
		}
		box := open(t, Options{Dir: dir})
		works, err := filepath.Glob(filepath.Join(dir, homeName, "*", workPrefix+"*"))
		if err != nil || len(works) != 1 {
			t.Errorf("the next platform finds %q, %v", works, err)
		}
		closeBox(t, box)
	}
}
