package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Programs have no terminal, whether this program has one or not. Without one they
// are in its session, among whose processes the kernel switches the least.
func TestNoTerminalInside(t *testing.T) {
	openBox(t) // or skip
	if cgo := buildSetting("CGO_ENABLED"); cgo != "0" {
		t.Skipf("the program is this test's own, which has to be static: CGO_ENABLED=%s", cgo)
	}
	for _, terminal := range []bool{true, false} {
		var out locked
		cmd := exec.Command("/proc/self/exe", argPlatform, t.TempDir(), "terminal", fmt.Sprintf("terminal-%d-%t", os.Getpid(), terminal))
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.WaitDelay = time.Second
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if terminal {
			_, cmd.Stdin = openTerminal(t)
			cmd.SysProcAttr.Setctty = true
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out.await(t, "started: <nil>")
		out.await(t, "terminal:")
		if text := out.String(); !strings.Contains(text, "terminal: true") || strings.Contains(text, "terminal: false") {
			t.Errorf("inside, with a terminal outside (%t): %s", terminal, text)
		}
		ours, theirs := sessions(t, cmd.Process.Pid, cmd.Args[len(cmd.Args)-1])
		for _, session := range theirs {
			if shared := session == ours; shared == terminal {
				t.Errorf("with a terminal (%t): sessions %d and %d", terminal, ours, session)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
}

// A program that gives up its terminal has pods in its own session, without a terminal.
// Ctrl-C interrupts it all the same.
func TestTerminalIsLeft(t *testing.T) {
	openBox(t) // or skip
	if cgo := buildSetting("CGO_ENABLED"); cgo != "0" {
		t.Skipf("the program is this test's own, which has to be static: CGO_ENABLED=%s", cgo)
	}
	var out locked
	word := fmt.Sprintf("left-%d", os.Getpid())
	// The shell leads the session.
	cmd := exec.Command("sh", "-c", `trap : INT; "$@"; echo ended with $?; exit 0`, "sh", "/proc/self/exe", argPlatform, t.TempDir(), "leave", "terminal", word)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args[4] = self
	master, terminal := openTerminal(t)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, &out, &out
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t, "started: <nil>")
	out.await(t, "terminal:")
	if text := out.String(); !strings.Contains(text, "terminal: true") || strings.Contains(text, "terminal: false") {
		t.Errorf("inside: %s", text)
	}
	ours, theirs := sessions(t, cmd.Process.Pid, word)
	for _, session := range theirs {
		if session != ours {
			t.Errorf("sessions %d and %d", ours, session)
		}
	}
	if _, err := master.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	out.await(t, "ended with")
	if text := out.String(); strings.Contains(text, "ended with 0") {
		t.Errorf("after Ctrl-C: %s", text)
	}
	_ = cmd.Wait()
}

// openTerminal opens a new pseudo-terminal, as a terminal emulator does.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

// sessions are that of a process, and those of the others with a word in their arguments.
func sessions(t *testing.T, pid int, word string) (of int, others []int) {
	t.Helper()
	for _, line := range running(t, word) {
		var found int
		if _, err := fmt.Sscanf(line, "/proc/%d/", &found); err != nil {
			t.Fatal(line, err)
		}
		session, err := unix.Getsid(found)
		if err != nil {
			t.Fatal(err)
		}
		if found == pid {
			of = session
		} else {
			others = append(others, session)
		}
	}
	if of == 0 || len(others) == 0 {
		t.Fatalf("there run %q", running(t, word))
	}
	return of, others
}
