package runtimetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/local/pod"
)

// Subject is a runtime that is tested.
type Subject struct {
	Runtime pod.Runtime
	// Ref is an image whose entrypoint is ./program, and which has a folder /tmp that
	// everybody may write to.
	Ref string
	// Files says that containers have a root file system of their own, which a Fake's
	// have not; Users that they can run as several users.
	Files, Users bool
}

const patience = 20 * time.Second

// Test checks what the kubelet expects of a runtime.
func Test(t *testing.T, subject Subject) {
	tests := []struct {
		name string
		run  func(*guest)
		when bool
	}{
		{"it is running when Start returns, and ends by itself", (*guest).endsByItself, true},
		{"exit codes", (*guest).exitCodes, true},
		{"SIGTERM reaches the program", (*guest).termination, true},
		{"SIGKILL is not to be ignored", (*guest).kill, true},
		{"what it writes arrives before it is done", (*guest).output, true},
		{"environment, arguments and working folder", (*guest).surroundings, true},
		{"a port can be dialled", (*guest).dial, true},
		{"a port on which nothing listens refuses", (*guest).refused, true},
		{"two containers share a network", (*guest).sharedNetwork, true},
		{"two sandboxes can use the same port", (*guest).sandboxesApart, true},
		{"a container starts again in its sandbox", (*guest).again, true},
		{"volumes are shared", (*guest).volumes, true},
		{"a sub path is a folder or a file", (*guest).subPaths, true},
		{"Exec", (*guest).exec, true},
		{"Close ends what runs", (*guest).closes, true},
		{"the end of ctx ends Start only", (*guest).contextOfStart, true},
		{"changes of the root file system are the container's own", (*guest).ownFiles, subject.Files},
		{"a root file system that cannot be written", (*guest).readOnlyRoot, subject.Files},
		{"a volume that cannot be written", (*guest).readOnlyVolume, subject.Files},
		{"a program that is not there", (*guest).noProgram, subject.Files},
		{"users, and files that only root may read", (*guest).users, subject.Users},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.when {
				t.Skip("the runtime does not promise this")
			}
			tt.run(newGuest(t, subject))
		})
	}
}

func (g *guest) endsByItself() {
	r := g.start(g.container("sleep=300ms", "exit=0"))
	r.stillRuns()
	r.endsWith(0)
}

func (g *guest) exitCodes() {
	for _, code := range []int{0, 1, 42, 127, 255} {
		g.start(g.container(fmt.Sprintf("exit=%d", code))).endsWith(code)
	}
}

func (g *guest) termination() {
	r := g.start(g.container("say=begun", "wait=7"))
	r.says("begun")
	r.stillRuns()
	if err := r.Signal(syscall.SIGTERM); err != nil {
		g.Fatal(err)
	}
	r.endsWith(7)
	r.says("got terminated")
}

func (g *guest) kill() {
	r := g.start(g.container("say=begun", "ignore"))
	r.says("begun")
	if err := r.Signal(syscall.SIGTERM); err != nil {
		g.Fatal(err)
	}
	r.stillRuns()
	if err := r.Signal(syscall.SIGKILL); err != nil {
		g.Fatal(err)
	}
	r.endsWith(128 + int(syscall.SIGKILL))
	if _, outOfMemory := r.Exit(); outOfMemory {
		g.Error("it is said to have run out of memory")
	}
	// A signal to what has ended is no failure of the caller's.
	_ = r.Signal(syscall.SIGTERM)
}

func (g *guest) output() {
	for range 20 {
		r := g.run(g.container("say=one", "complain=two", "print=three"))
		if r.out.String() != "one\nthree" || r.errors.String() != "two\n" {
			g.Fatalf("output %q and %q", r.out, r.errors)
		}
	}
}

func (g *guest) surroundings() {
	c := g.container("env=GREETING", "args=2", "environ")
	if g.subject.Files {
		c.Dir = "/tmp"
	}
	r := g.run(c)
	r.says("GREETING=hello there\n")
	if g.subject.Files {
		r.says("in /tmp\n")
	}
	for line := range strings.Lines(r.out.String()) {
		if strings.HasPrefix(line, "XDG_") || strings.HasPrefix(line, "SSH_") {
			g.Errorf("the host's environment is seen: %s", line)
		}
	}
}

func (g *guest) dial() {
	r := g.start(g.container(serve(g.sandbox, 8080)))
	if body := g.get(g.sandbox, 8080, "/"); body != "hello from guest" {
		g.Errorf("the answer is %q", body)
	}
	r.stillRuns()
}

func (g *guest) refused() {
	r := g.start(g.container("say=begun", "wait=0"))
	r.says("begun")
	begun := time.Now()
	conn, err := g.sandbox.Dial(g.Context(), 9999)
	if err == nil {
		conn.Close()
		g.Fatal("something answers")
	}
	if !strings.Contains(err.Error(), "connection refused") {
		g.Errorf("the error is %v", err)
	}
	if took := time.Since(begun); took > time.Second {
		g.Errorf("it took %s", took)
	}
}

func (g *guest) sharedNetwork() {
	first, second := g.container(serve(g.sandbox, 8080)), g.container(serve(g.sandbox, 9090))
	second.Name = "second"
	g.start(first)
	g.start(second)
	for _, port := range []int32{8080, 9090} {
		if body := g.get(g.sandbox, port, "/"); body != "hello from guest" {
			g.Errorf("port %d answers %q", port, body)
		}
	}
}

func (g *guest) sandboxesApart() {
	other := g.newSandbox()
	for i, sandbox := range []pod.Sandbox{g.sandbox, other} {
		c := g.container(serve(sandbox, 8080))
		c.Env = append(c.Env, fmt.Sprintf("WHICH=%d", i))
		g.startIn(sandbox, c)
	}
	for i, sandbox := range []pod.Sandbox{g.sandbox, other} {
		if body := g.get(sandbox, 8080, "/env/WHICH"); body != fmt.Sprint(i) {
			g.Errorf("sandbox %d is reached as %q", i, body)
		}
	}
}

func (g *guest) again() {
	for range 3 {
		r := g.start(g.container(serve(g.sandbox, 8080)))
		if body := g.get(g.sandbox, 8080, "/"); body != "hello from guest" {
			g.Errorf("the answer is %q", body)
		}
		_ = r.Signal(syscall.SIGTERM)
		r.endsWith(0)
	}
}

func (g *guest) volume(name string) string {
	g.Helper()
	dir, err := g.sandbox.Volume(name)
	if err != nil {
		g.Fatal(err)
	}
	return dir
}

// file writes a file of a volume as the kubelet does.
func (g *guest) file(dir, name, text string, mode os.FileMode) {
	g.Helper()
	at := filepath.Join(dir, name)
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		g.Fatal(err)
	}
	if err := os.Chmod(at, mode); err != nil {
		g.Fatal(err)
	}
	if err := g.sandbox.Own(g.Context(), dir, -1); err != nil {
		g.Fatal(err)
	}
}

func (g *guest) volumes() {
	config, shared := g.volume("config"), g.volume("shared")
	g.file(config, "key", "value", 0o644)
	mounts := []pod.Mount{{Target: "/etc/config", Source: config, ReadOnly: true}, {Target: "/data", Source: shared}}
	first := g.container("cat=/etc/config/key", "write=/data/note:from the first")
	first.Mounts = mounts
	g.run(first).says("value\n")
	second := g.container("cat=/data/note")
	second.Name, second.Mounts = "second", mounts
	g.run(second).says("from the first\n")
}

func (g *guest) subPaths() {
	dir := g.volume("data")
	g.file(dir, "log", "", 0o666)
	c := g.container("write=/dev/termination-log:the reason", "write=/new/file:text", "cat=/new/file")
	c.Mounts = []pod.Mount{{Target: "/dev/termination-log", Source: dir, SubPath: "log"}, {Target: "/new", Source: dir, SubPath: "made/here"}}
	if !g.subject.Files {
		if err := os.MkdirAll(filepath.Join(dir, "made/here"), 0o777); err != nil {
			g.Fatal(err)
		}
	}
	g.run(c).says("text\n")
	if text, err := os.ReadFile(filepath.Join(dir, "log")); string(text) != "the reason" {
		g.Errorf("the file has %q, %v", text, err)
	}
}

func (g *guest) exec() {
	r := g.start(g.container("say=begun", "wait=0"))
	r.says("begun")
	for _, code := range []int{0, 3} {
		var out bytes.Buffer
		args := append(append([]string{}, g.image.Entrypoint...), "say=probing", "env=GREETING", fmt.Sprintf("exit=%d", code))
		got, err := r.Exec(g.Context(), args, &out)
		if err != nil || got != code || !strings.Contains(out.String(), "probing\nGREETING=hello there\n") {
			g.Errorf("exit code %d, want %d; %v; it said %q", got, code, err, out.String())
		}
	}
	ctx, cancel := context.WithTimeout(g.Context(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := r.Exec(ctx, append(append([]string{}, g.image.Entrypoint...), "sleep=1m"), nil); err == nil {
		g.Error("a program that takes longer than it may is said to have ended")
	}
	if took := time.Since(begun); took > 5*time.Second {
		g.Errorf("it was waited for for %s", took)
	}
	r.stillRuns()
}

func (g *guest) closes() {
	r := g.start(g.container("say=begun", "ignore"))
	r.says("begun")
	dir := g.volume("data")
	if err := g.sandbox.Close(g.Context()); err != nil {
		g.Fatal(err)
	}
	r.endsWith(128 + int(syscall.SIGKILL))
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		g.Errorf("a volume is still there: %v", err)
	}
	if conn, err := g.sandbox.Dial(g.Context(), 8080); err == nil {
		conn.Close()
		g.Error("it can be dialled after Close")
	}
}

func (g *guest) contextOfStart() {
	ctx, cancel := context.WithCancel(g.Context())
	c := g.container("say=begun", "wait=0")
	out := &buffer{}
	c.Stdout, c.Stderr = out, out
	process, err := g.sandbox.Start(ctx, c)
	if err != nil {
		g.Fatal(err)
	}
	r := &running{process, g, out, out}
	r.says("begun")
	cancel()
	r.stillRuns()
	if _, err := g.sandbox.Start(ctx, c); err == nil {
		g.Error("a container was started although the context has ended")
	}
}

func (g *guest) ownFiles() {
	g.run(g.container("write=/tmp/mark:mine", "cat=/tmp/mark")).says("mine")
	g.start(g.container("exists=/tmp/mark")).endsWith(1)
}

func (g *guest) readOnlyRoot() {
	c := g.container("write=/tmp/mark:mine")
	c.ReadOnly = true
	r := g.start(c)
	r.endsWith(1)
	if !strings.Contains(r.errors.String(), "read-only file system") {
		g.Errorf("it says %q", r.errors)
	}
}

func (g *guest) readOnlyVolume() {
	dir := g.volume("data")
	c := g.container("write=/data/mark:mine")
	c.Mounts = []pod.Mount{{Target: "/data", Source: dir, ReadOnly: true}}
	r := g.start(c)
	r.endsWith(1)
	if !strings.Contains(r.errors.String(), "read-only file system") {
		g.Errorf("it says %q", r.errors)
	}
}

func (g *guest) noProgram() {
	c := g.container()
	c.Args = []string{"/no/such/program"}
	c.Stdout, c.Stderr = &buffer{}, &buffer{}
	if _, err := g.sandbox.Start(g.Context(), c); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		g.Errorf("the error is %v", err)
	}
}

func (g *guest) users() {
	dir := g.volume("secret")
	g.file(dir, "all", "for all", 0o444)
	g.file(dir, "root", "for root", 0o400)
	c := g.container("cat=/secret/all", "cat=/secret/root")
	c.Mounts = []pod.Mount{{Target: "/secret", Source: dir, ReadOnly: true}}
	c.User = "0"
	g.run(c).says("for root\n")
	c.User = "1000:1000"
	r := g.start(c)
	r.endsWith(1)
	r.says("for all\n")
}
