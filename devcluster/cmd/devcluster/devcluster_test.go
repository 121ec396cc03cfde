package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/devcluster/internal/cluster"
	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/state"
)

// TestMain lets this test binary be the program itself, for what needs a process.
func TestMain(m *testing.M) {
	if os.Getenv("DEVCLUSTER_TEST_RUN") != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// call runs a command line with a state folder of its own.
func call(t *testing.T, home string, args ...string) (code int, out, stderr string) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var errs bytes.Buffer
	env := map[string]string{"XDG_STATE_HOME": home, "XDG_CACHE_HOME": home}
	code = execute(t.Context(), system{args: args, env: func(k string) string { return env[k] }, in: strings.NewReader(""), out: f, err: &errs})
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, string(b), errs.String()
}

func TestExitCodesAndWhatIsSaid(t *testing.T) {
	for _, tc := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"down --name nobody", 0, `there is no cluster "nobody"`},
		{"down --all", 0, ""},
		{"status --name nobody", 1, "devcluster up --name nobody"},
		{"kubeconfig", 1, "there is none of this name"},
		{"kubectl get pods", 1, "there is none of this name"},
		{"enter", 1, "there is none of this name"},
		{"up --name Not_Good", 2, "lower-case letters"},
		{"up --address 10.0.0.1", 2, "127.0.0.0/8"},
		{"up --api-port -1", 2, "between 0 and 65535"},
		{"up now", 2, `unexpected argument "now"`},
		{"up --no-such-flag", 2, "up --help"},
		{"status -o yaml", 2, "table, json"},
		{"logs", 2, "kube-apiserver"},
		{"logs nope", 2, "kube-apiserver"},
		{"frobnicate", 2, "unknown command"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			code, out, stderr := call(t, t.TempDir(), strings.Fields(tc.args)...)
			if code != tc.code || !strings.Contains(stderr, tc.stderr) || out != "" {
				t.Errorf("exit code %d, want %d\nstdout: %q\nstderr: %s\nwant %q", code, tc.code, out, stderr, tc.stderr)
			}
		})
	}
}

func TestEveryCommandHelpsWithItsExitCodes(t *testing.T) {
	for _, args := range []string{"", "up", "down", "status", "kubeconfig", "logs", "enter", "footprint"} {
		code, out, _ := call(t, t.TempDir(), append(strings.Fields(args), "--help")...)
		if code != 0 || !strings.Contains(out, "Exit codes: 0 done") {
			t.Errorf("%q --help: exit code %d\n%s", args, code, out)
		}
	}
}

func stopped(t *testing.T) (home string, r *state.Record) {
	t.Helper()
	home = t.TempDir()
	folder := filepath.Join(home, "kn-lite-devcluster", defaultName)
	if err := os.MkdirAll(filepath.Join(folder, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	r = &state.Record{Instance: instance.Instance{
		Name: defaultName, Folder: folder,
		Address: netip.MustParseAddr("127.0.77.9"), Ports: instance.DefaultPorts(),
	}}
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	return home, r
}

func TestStatusOfACluster(t *testing.T) {
	home, _ := stopped(t)
	code, out, _ := call(t, home, "status", "-o", "json")
	var s cluster.Status
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	if code != 1 || s.Healthy || s.Registry != "127.0.77.9:5000" || s.Ingress != "127.0.77.9:80" || s.APIVersion != "kn-lite.dev/v1" || len(s.Components) != 12 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	code, out, _ = call(t, home, "status")
	if code != 1 || !strings.Contains(out, "not started") || !strings.Contains(out, "registry    127.0.77.9:5000") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestKubeconfigPathAndContent(t *testing.T) {
	home, r := stopped(t)
	if code, _, stderr := call(t, home, "kubeconfig"); code != 1 || !strings.Contains(stderr, "devcluster up") {
		t.Errorf("before there is one: %d %s", code, stderr)
	}
	path := r.Instance.Path(cluster.KubeconfigFile)
	if err := os.WriteFile(path, []byte("apiVersion: v1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := call(t, home, "kubeconfig"); code != 0 || out != path+"\n" {
		t.Errorf("%d %q", code, out)
	}
	if code, out, _ := call(t, home, "kubeconfig", "--raw"); code != 0 || out != "apiVersion: v1\n" {
		t.Errorf("%d %q", code, out)
	}
}

func TestLogsFollowUntilTheFileGoes(t *testing.T) {
	home, r := stopped(t)
	if code, _, stderr := call(t, home, "logs", "etcd"); code != 1 || !strings.Contains(stderr, "nothing yet") {
		t.Errorf("%d %s", code, stderr)
	}
	path := cluster.LogFile(r, "etcd")
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := call(t, home, "logs", "etcd"); code != 0 || out != "one\n" {
		t.Errorf("%d %q", code, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- copyLog(ctx, write, path, true); _ = write.Close() }()
	first := make([]byte, 4)
	if _, err := io.ReadFull(read, first); err != nil || string(first) != "one\n" {
		t.Fatalf("%q, %v", first, err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(f, "two\n")
	_ = f.Close()
	if _, err := io.ReadFull(read, first); err != nil || string(first) != "two\n" {
		t.Fatalf("%q, %v", first, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || ctx.Err() != nil {
		t.Errorf("after the file went: %v, %v", err, ctx.Err())
	}
}

func TestRelayTakesListenersByDescriptor(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		for {
			conn, err := target.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		}
	}()
	endpoint, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := endpoint.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "relay", target.Addr().String())
	cmd.Env = append(os.Environ(), "DEVCLUSTER_TEST_RUN=1")
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	// Only the relay holds the endpoint now.
	_, _ = f.Close(), endpoint.Close()
	conn, err := net.Dial("tcp", endpoint.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFootprintComparesWithAnEarlierOne(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip")
	}
	home := t.TempDir()
	code, out, stderr := call(t, home, "footprint")
	if code != 0 {
		t.Fatal(stderr)
	}
	var before map[string][]string
	if err := json.Unmarshal([]byte(out), &before); err != nil {
		t.Fatal(err)
	}
	before["mounts"] = append(before["mounts"], "/was/there from /")
	before["sysctls"] = before["sysctls"][1:]
	b, _ := json.Marshal(before)
	file := filepath.Join(home, "before.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = call(t, home, "footprint", "--since", file)
	if code != 1 || !strings.Contains(out, "- mounts: /was/there from /\n") || !strings.Contains(out, "+ sysctls: ") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
