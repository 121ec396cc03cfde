package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

const argMember = "sandbox-test-member"

// member is a program in a pod.
func member(args []string) {
	switch args[0] {
	case "serve":
		fmt.Println("pid", os.Getpid(), "uid", os.Getuid())
		host, _ := os.Hostname()
		err := http.ListenAndServe(args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/size" {
				_, _ = io.Copy(w, io.LimitReader(zeros{}, 20<<20))
				return
			}
			fmt.Fprintf(w, "hello from %s", host)
		}))
		fmt.Println(err)
		os.Exit(3)
	case "exit":
		fmt.Fprintln(os.Stderr, "going")
		os.Exit(7)
	case "term":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("ready")
		<-c
		os.Exit(42)
	case "orphans": // leaves processes that nobody waits for
		for range 50 {
			cmd := exec.Command("/probe", argMember, "orphan")
			if err := cmd.Run(); err != nil {
				fmt.Println(err)
			}
		}
		time.Sleep(100 * time.Millisecond)
		zombies := 0
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, file := range stats {
			if raw, err := os.ReadFile(file); err == nil && strings.Contains(string(raw), ") Z ") {
				zombies++
			}
		}
		fmt.Println("zombies:", zombies)
	case "orphan":
		cmd := exec.Command("/probe", argMember, "exit")
		fmt.Print(cmd.Start(), "\n")
	case "flood":
		_, _ = io.Copy(os.Stdout, io.LimitReader(zeros{}, 10<<20))
	case "bomb":
		for {
			if err := exec.Command("/probe", argMember, "bomb").Start(); err != nil {
				time.Sleep(time.Millisecond)
			}
		}
	case "sleep":
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "family": // a process that has left its session, with a child
		_ = syscall.Setpgid(0, 0)
		cmd := exec.Command("/probe", argMember, "daemon", args[1])
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		fmt.Println(cmd.Start())
		time.Sleep(time.Hour)
	case "daemon":
		signal.Ignore()
		cmd := exec.Command("/probe", argMember, "sleep", args[1])
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		fmt.Println(cmd.Start())
		time.Sleep(time.Hour)
	case "dial": // says what it hears from each address
		for _, address := range args[1:] {
			conn, err := net.DialTimeout("tcp", address, 3*time.Second)
			var raw []byte
			if err == nil {
				raw, err = io.ReadAll(conn)
			}
			fmt.Printf("%s: %q %v\n", address, raw, err)
		}
	case "eat": // a megabyte after the other, as many as the argument says
		n, _ := strconv.Atoi(args[1])
		var eaten [][]byte
		for range n {
			eaten = append(eaten, bytes.Repeat([]byte{1}, 1<<20))
			time.Sleep(2 * time.Millisecond)
		}
		fmt.Println("ate", len(eaten))
	case "eaters": // two that eat half of it each
		var eaters []*exec.Cmd
		for range 2 {
			cmd := exec.Command("/probe", argMember, "eat", args[1])
			cmd.Stdout = os.Stdout
			_ = cmd.Start()
			eaters = append(eaters, cmd)
		}
		for _, cmd := range eaters {
			_ = cmd.Wait()
		}
	case "terminal":
		_, err := os.Open("/dev/tty")
		fmt.Println("terminal:", errors.Is(err, syscall.ENXIO), err)
		time.Sleep(time.Hour)
	case "write":
		fmt.Println(os.WriteFile("/file", nil, 0o644))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// newPod makes a pod, and a root with this test's program as /probe.
func newPod(t testing.TB, box *Box) (*Pod, string) {
	t.Helper()
	pod, err := box.Pod(context.Background(), "hello")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pod.Close(); err != nil {
			t.Error(err)
		}
	})
	return pod, memberRoot(t, box)
}

func memberRoot(t testing.TB, box *Box) string {
	t.Helper()
	if cgo := buildSetting("CGO_ENABLED"); cgo != "0" {
		t.Skipf("the program is this test's own, which has to be static: CGO_ENABLED=%s", cgo)
	}
	root, err := box.Root()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "probe"), self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func run(t testing.TB, pod *Pod, root string, out io.Writer, args ...string) *Process {
	t.Helper()
	p, err := pod.Start(context.Background(), Start{
		Root: root, Command: Command{Args: append([]string{"/probe", argMember}, args...), Dir: "/"}, Out: out, Err: out,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ended(t testing.TB, p *Process) Exit {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the program does not end")
	}
	return p.Exit()
}

// locked is a buffer for several goroutines.
type locked struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.buffer.Write(p)
}

func (l *locked) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.buffer.String()
}

func (l *locked) await(t testing.TB, text string) {
	t.Helper()
	for range 2000 {
		if strings.Contains(l.String(), text) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("no %q in %q", text, l.String())
}

// get asks a server in the pod, waiting until it listens.
func get(t testing.TB, pod *Pod, port int, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return pod.Dial(ctx, port) }}}
	defer client.CloseIdleConnections()
	for range 1000 {
		response, err := client.Get("http://pod" + path)
		if errors.Is(err, syscall.ECONNREFUSED) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	t.Fatal("nobody listens")
	return ""
}

func TestContainersShareANetworkAndNothingElse(t *testing.T) {
	box := openBox(t)
	pod, root := newPod(t, box)
	var out locked
	first := run(t, pod, root, &out, "serve", "127.0.0.1:8080")
	second := run(t, pod, memberRoot(t, box), &out, "serve", ":80")
	for _, port := range []int{8080, 80} {
		if got := get(t, pod, port, "/"); got != "hello from hello" {
			t.Errorf("port %d says %q", port, got)
		}
	}
	if got := len(get(t, pod, 8080, "/size")); got != 20<<20 {
		t.Errorf("%d bytes", got)
	}
	if conn, err := net.DialTimeout("tcp", "127.0.0.1:80", time.Second); err == nil {
		t.Error("the pod listens on the host")
		_ = conn.Close()
	}
	// Ports of the pod are taken once, whichever container has them.
	third := run(t, pod, root, &out, "serve", "127.0.0.1:8080")
	if exit := ended(t, third); exit.Code != 3 || exit.Trouble != nil {
		t.Errorf("a port that is taken: %+v", exit)
	}
	if err := first.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if exit := ended(t, first); exit.Code != 137 || exit.Trouble != nil {
		t.Errorf("killed: %+v", exit)
	}
	// The other one goes on, and the first is started again alone.
	if got := get(t, pod, 80, "/"); got != "hello from hello" {
		t.Errorf("the other container says %q", got)
	}
	again := run(t, pod, root, &out, "serve", "127.0.0.1:8080")
	if got := get(t, pod, 8080, "/"); got != "hello from hello" {
		t.Errorf("started again: %q", got)
	}
	if err := pod.Close(); err != nil {
		t.Error(err)
	}
	for _, p := range []*Process{second, again} {
		if exit := ended(t, p); exit.Code != 137 {
			t.Errorf("after the pod's end: %+v", exit)
		}
	}
	if _, err := pod.Dial(context.Background(), 80); err == nil {
		t.Error("a pod that is gone answers")
	}
	if _, err := pod.Start(context.Background(), Start{Root: root, Command: Command{Args: []string{"/probe"}}}); err == nil {
		t.Error("a pod that is gone starts programs")
	}
}

func TestProgramsEndAsTheySay(t *testing.T) {
	pod, root := newPod(t, openBox(t))
	var out locked
	if exit := ended(t, run(t, pod, root, &out, "exit")); exit.Code != 7 || out.String() != "going\n" {
		t.Errorf("%+v, it said %q", exit, out.String())
	}
	p := run(t, pod, root, &out, "term")
	out.await(t, "ready")
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if exit := ended(t, p); exit.Code != 42 {
		t.Errorf("after SIGTERM: %+v", exit)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal to what is gone: %v", err)
	}
	if err := os.WriteFile(filepath.Join(root, "damaged"), []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{
		"/nothing": "no such file or directory", "nothing": "executable file not found in $PATH", "/proc": "permission denied", "/damaged": "exec format error",
	} {
		_, err := pod.Start(context.Background(), Start{Root: root, Command: Command{Args: []string{program}, Dir: "/"}})
		if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", program, err, want)
		}
	}
	_, err := pod.Start(context.Background(), Start{Root: root, Command: Command{Args: []string{"/probe"}, User: "nobody-here"}})
	if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "nobody-here") {
		t.Errorf("unknown user: %v", err)
	}
	p, err = pod.Start(context.Background(), Start{Root: root, ReadOnly: true, Out: &out, Err: &out, Command: Command{Args: []string{"/probe", argMember, "write"}, Dir: "/"}})
	if err != nil {
		t.Fatal(err)
	}
	if ended(t, p); !strings.Contains(out.String(), "read-only file system") {
		t.Errorf("a read-only root: %q", out.String())
	}
}

func TestExecRunsBesideTheProgram(t *testing.T) {
	pod, root := newPod(t, openBox(t))
	var out, said locked
	p := run(t, pod, root, &out, "sleep")
	code, err := p.Exec(context.Background(), []string{"/probe", argMember, "exit"}, &said)
	if err != nil || code != 7 || said.String() != "going\n" {
		t.Errorf("%d, %v, %q", code, err, said.String())
	}
	if _, err := p.Exec(context.Background(), []string{"/nothing"}, nil); fault.KindOf(err) != fault.Build {
		t.Errorf("no such program: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Exec(ctx, []string{"/probe", argMember, "sleep"}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that takes too long: %v", err)
	}
}

func TestZombiesAreReaped(t *testing.T) {
	pod, root := newPod(t, openBox(t))
	var out locked
	ended(t, run(t, pod, root, &out, "orphans"))
	if !strings.Contains(out.String(), "zombies: 0") {
		t.Errorf("it said %q", out.String())
	}
}

// slow reads a little at a time.
type slow struct{ read int }

func (s *slow) Write(p []byte) (int, error) {
	s.read += len(p)
	time.Sleep(5 * time.Millisecond)
	return len(p), nil
}

func TestMuchOutputWaitsForItsReader(t *testing.T) {
	pod, root := newPod(t, openBox(t))
	var out slow
	p := run(t, pod, root, &out, "flood")
	<-p.Done()
	if out.read != 10<<20 {
		t.Errorf("%d bytes have arrived", out.read)
	}
}

func TestForkBombEndsWithItsPod(t *testing.T) {
	box := openBox(t)
	pod, root := newPod(t, box)
	_, err := pod.Start(context.Background(), Start{Root: root, Processes: 50, Command: Command{Args: []string{"/probe", argMember, "bomb"}, Dir: "/"}})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	other, otherRoot := newPod(t, box)
	var out locked
	if exit := ended(t, run(t, other, otherRoot, &out, "exit")); exit.Code != 7 {
		t.Errorf("another pod's program: %+v", exit)
	}
	if err := pod.Close(); err != nil {
		t.Error(err)
	}
}

func TestMemoryLimitIsKept(t *testing.T) {
	box := openBox(t)
	pod, root := newPod(t, box)
	for _, c := range []struct {
		name  string
		limit int64
		args  []string
		ended bool
	}{
		{"more than it may", 100 << 20, []string{"eat", "400"}, true},
		{"less than it may", 100 << 20, []string{"eat", "40"}, false},
		{"no limit", 0, []string{"eat", "200"}, false},
		{"several processes together", 100 << 20, []string{"eaters", "150"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out locked
			p, err := pod.Start(context.Background(), Start{
				Root: root, Memory: c.limit, Out: &out, Err: &out, Command: Command{Args: append([]string{"/probe", argMember}, c.args...), Dir: "/"},
			})
			if err != nil {
				t.Fatal(err)
			}
			exit := ended(t, p)
			want := Exit{}
			if c.ended {
				want = Exit{Code: 137, Memory: true}
			}
			if exit != want || c.ended == strings.Contains(out.String(), "ate") {
				t.Errorf("%+v, want %+v; it said %q", exit, want, out.String())
			}
		})
	}
}
