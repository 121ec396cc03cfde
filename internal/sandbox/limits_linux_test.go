package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const argProbe = "sandbox-test-probe"

// probe is a program inside that tries what it must not be able to do.
func probe(socket string) {
	connection, err := net.Dial("unix", socket)
	if err == nil {
		_ = connection.Close()
	}
	fmt.Println("socket of the host:", err)
	own, err := net.Listen("unix", "@own")
	if err == nil {
		connection, err = net.Dial("unix", "@own")
	}
	fmt.Println("own socket:", err)
	_, _ = own, connection
	fmt.Println("unshare:", unix.Unshare(unix.CLONE_NEWUSER))
	_, _, errno := syscall.Syscall(unix.SYS_UNSHARE, unix.CLONE_NEWUSER|unix.CLONE_NEWNET, 0, 0)
	fmt.Println("unshare with more:", errno)
	cmd := exec.Command("/proc/self/exe", argProbe)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	fmt.Println("clone:", cmd.Run())
	_, _, errno = syscall.Syscall(unix.SYS_CLONE3, 0, 0, 0)
	fmt.Println("clone3:", errno)
	raw, err := os.ReadFile("/proc/sys/kernel/pid_max")
	fmt.Println("processes:", strings.TrimSpace(string(raw)), err)
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "Cap") {
			fmt.Print(line)
		}
	}
}

// runProbe runs this test's own program as a user of a sandbox.
func runProbe(t *testing.T, box *Box, user string, args ...string) string {
	t.Helper()
	root := newRoot(t, box)
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "probe"), self, 0o755)
	}
	for _, dir := range []string{"proc", "dev", "sys"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(root, dir), 0o755)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	command := &Command{Args: append([]string{"/probe"}, args...), Dir: "/", User: user}
	if err := box.Call(context.Background(), Call{Root: root, Command: command, Out: &out, Err: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

func TestRunIsLimited(t *testing.T) {
	if cgo := buildSetting("CGO_ENABLED"); cgo != "0" {
		t.Skipf("the probe is this test's own program, which has to be static: CGO_ENABLED=%s", cgo)
	}
	socket := fmt.Sprintf("@kn-lite-test-%d", os.Getpid())
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	box := openBox(t)
	said := runProbe(t, box, "0", argProbe, socket)
	wants := []string{
		"own socket: <nil>", "unshare: operation not permitted", "unshare with more: operation not permitted",
		"clone: fork/exec /proc/self/exe: operation not permitted", "clone3: function not implemented",
		"CapInh:\t0000000000000000", "CapBnd:\t00000000a80425fb", "CapAmb:\t0000000000000000",
	}
	if kernelSince(6, 12) {
		wants = append(wants, "socket of the host: dial unix "+socket+": connect: operation not permitted")
	}
	if kernelSince(6, 14) {
		wants = append(wants, "processes: 4096")
	}
	for _, want := range wants {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in\n%s", want, said)
		}
	}
	// The setup's own capabilities must not reach a user who is not root.
	if box.ids.identity != Single {
		said := runProbe(t, box, "1234:5", argProbe, socket)
		for _, want := range []string{"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000"} {
			if !strings.Contains(said, want) {
				t.Errorf("as user 1234, want %q in\n%s", want, said)
			}
		}
	}
}

func buildSetting(key string) string {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

func kernelSince(major, minor int) bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil || runtime.GOOS != "linux" {
		return false
	}
	var a, b int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &a, &b)
	return err == nil && (a > major || a == major && b >= minor)
}
