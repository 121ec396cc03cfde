package machine

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this test binary be the init of the machines that tests boot.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "machine-init" {
		if err := Init(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// boot makes a machine and takes it away with the test. Namespaces need root, and
// the init tries iptables: elsewhere the test is skipped, and says so.
func boot(t *testing.T, setup Setup) Machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if _, err := exec.LookPath("iptables"); err != nil {
		t.Skip("needs iptables")
	}
	setup.Hostname, setup.Folder, setup.Bridge, setup.Address = "test-node", t.TempDir(), "node0", "10.77.0.1/24"
	cmd := exec.Command("/proc/self/exe", "machine-init")
	cmd.Stderr = os.Stderr
	m, err := Boot(t.Context(), cmd, setup, func(Machine) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := m.Halt(ctx); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m Machine) output(t *testing.T, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := m.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, &out)
	}
	return out.String()
}

func TestMachineIsSealed(t *testing.T) {
	before, err := os.ReadFile("/proc/sys/kernel/panic")
	if err != nil && os.Geteuid() == 0 {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "file"), []byte("shown"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := boot(t, Setup{
		Routes:  []string{"10.77.128.0/17"},
		Binds:   []Bind{{Source: other, Target: "/run/other"}},
		Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
		Pretend: map[string]string{"kernel.panic": "4321", "kernel.no_such_thing": "1"},
		Files:   map[string]string{"/etc/hosts": "127.0.0.1 sealed\n"},
	})
	for _, tc := range []struct {
		argv      []string
		has, hasn string
	}{
		{[]string{"hostname"}, "test-node", ""},
		{[]string{"ip", "-o", "address"}, "10.77.0.1/24", "eth"},
		{[]string{"ip", "route"}, "10.77.128.0/17", "default"},
		{[]string{"cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/panic"}, "1\n4321\n", ""},
		{[]string{"cat", "/etc/hosts"}, "sealed", ""},
		{[]string{"cat", "/run/other/file"}, "shown", ""},
		{[]string{"ls", Root}, "run", ""},
		{[]string{"sh", "-c", "echo x > /var/only-inside && ls /var"}, "only-inside", ""},
		{[]string{"sh", "-c", "echo $$; ls /proc | grep -c '^[0-9]'"}, "\n", "\n1\n1\n1\n"},
	} {
		out := m.output(t, tc.argv...)
		if !strings.Contains(out, tc.has) || tc.hasn != "" && strings.Contains(out, tc.hasn) {
			t.Errorf("%q: %q, want %q and no %q", tc.argv, out, tc.has, tc.hasn)
		}
	}
	after, err := os.ReadFile("/proc/sys/kernel/panic")
	if err != nil || string(after) != string(before) {
		t.Errorf("the host's kernel.panic went from %s to %s, %v", before, after, err)
	}
	if _, err := os.Stat("/var/only-inside"); err == nil {
		t.Error("a file written below /var inside shows on the host")
	}
	mounts, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil || strings.Contains(string(mounts), "TestMachineIsSealed") {
		t.Errorf("a mount of the machine shows on the host: %v", err)
	}
}

func TestDialReachesTheMachineAndNotTheHost(t *testing.T) {
	m := boot(t, Setup{})
	onHost := httptest.NewServer(http.NotFoundHandler())
	defer onHost.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if conn, err := m.Dial(ctx, "tcp", onHost.Listener.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("a server of the host answers inside")
	}
	var l net.Listener
	err := m.inside([]string{"net"}, func() (err error) {
		l, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = io.WriteString(conn, "inside")
			_ = conn.Close()
		}
	}()
	conn, err := m.Dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "inside" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestKilledInitTakesEverythingWithIt(t *testing.T) {
	m := boot(t, Setup{})
	// A process that has lost its parent and ignores what it can.
	m.output(t, "sh", "-c", "(trap '' TERM HUP; exec setsid sleep 300 >/dev/null 2>&1 </dev/null) & true")
	found := Find(filepath.Dir(filepath.Dir(m.Path("/")))) // nobody has that folder
	if len(found) != 0 {
		t.Errorf("Find of a strange folder: %v", found)
	}
	if n := len(m.Processes()); n < 2 {
		t.Fatalf("%d processes inside, want the init and an orphan", n)
	}
	if err := syscall.Kill(m.Init.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := m.Halt(ctx); err != nil {
		t.Fatal(err)
	}
	if left := m.Processes(); len(left) != 0 {
		t.Errorf("processes %v outlive their init", left)
	}
	if err := m.Start(exec.Command("true")); err == nil {
		t.Error("a process was started in a machine that is gone")
	}
}

func TestBootReportsWhatTheInitCouldNotDo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	var recorded Machine
	_, err := Boot(t.Context(), exec.Command("/proc/self/exe", "machine-init"),
		Setup{Hostname: "x", Folder: "/proc/no-such-folder", Bridge: "node0", Address: "10.77.0.1/24"},
		func(m Machine) error { recorded = m; return nil })
	if err == nil || !strings.Contains(err.Error(), "/proc/no-such-folder") {
		t.Errorf("error = %v, want one that names the folder", err)
	}
	t.Cleanup(func() { _ = recorded.Init.Signal(syscall.SIGKILL) })
	if recorded.Init.PID == 0 || recorded.Alive() {
		t.Errorf("recorded %+v, alive: %t", recorded, recorded.Alive())
	}
}
