package runtimetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/local/pod"
)

// guest is a sandbox with an image.
type guest struct {
	*testing.T
	subject Subject
	image   pod.Image
	sandbox pod.Sandbox
}

func newGuest(t *testing.T, subject Subject) *guest {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	image, err := subject.Runtime.Pull(ctx, subject.Ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{T: t, subject: subject, image: image}
	g.sandbox = g.newSandbox()
	return g
}

func (g *guest) newSandbox() pod.Sandbox {
	g.Helper()
	sandbox, err := g.subject.Runtime.Sandbox(g.Context(), "default/guest", "guest")
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() {
		if err := sandbox.Close(context.Background()); err != nil {
			g.Errorf("close: %v", err)
		}
	})
	return sandbox
}

// running is a container with what it has written.
type running struct {
	pod.Process
	g           *guest
	out, errors *buffer
}

func (g *guest) container(steps ...string) pod.Container {
	return pod.Container{
		Name: "main", Image: g.image, Args: append(append([]string{}, g.image.Entrypoint...), steps...),
		Env: append(append([]string{}, g.image.Env...), "HOSTNAME=guest", "GREETING=hello there"), Dir: g.image.Dir, User: g.image.User,
	}
}

func (g *guest) start(c pod.Container) *running { return g.startIn(g.sandbox, c) }

func (g *guest) startIn(sandbox pod.Sandbox, c pod.Container) *running {
	g.Helper()
	r := &running{g: g, out: &buffer{}, errors: &buffer{}}
	c.Stdout, c.Stderr = r.out, r.errors
	process, err := sandbox.Start(g.Context(), c)
	if err != nil {
		g.Fatal(err)
	}
	r.Process = process
	return r
}

// run is a container that ends by itself, and has to succeed.
func (g *guest) run(c pod.Container) *running {
	g.Helper()
	r := g.start(c)
	r.endsWith(0)
	return r
}

func (r *running) endsWith(code int) {
	r.g.Helper()
	select {
	case <-r.Done():
	case <-time.After(patience):
		r.g.Fatalf("it has not ended after %s; it said %q and %q", patience, r.out, r.errors)
	}
	if got, _ := r.Exit(); got != code {
		r.g.Errorf("exit code %d, want %d; it said %q and %q", got, code, r.out, r.errors)
	}
}

func (r *running) says(text string) {
	r.g.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(r.out.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.g.Fatalf("it does not say %q but %q and %q", text, r.out, r.errors)
		}
	}
}

func (r *running) stillRuns() {
	r.g.Helper()
	select {
	case <-r.Done():
		code, _ := r.Exit()
		r.g.Fatalf("it has ended with exit code %d", code)
	case <-time.After(100 * time.Millisecond):
	}
}

// buffer is what a program writes while a test reads.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// get asks the server behind a port, which may need a moment to listen.
func (g *guest) get(sandbox pod.Sandbox, port int32, path string) string {
	g.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return sandbox.Dial(ctx, port) },
	}}
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		response, err := client.Get("http://guest" + path)
		if err == nil {
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				g.Fatal(err)
			}
			return string(body)
		}
		if time.Now().After(deadline) {
			g.Fatal(err)
		}
	}
}

// serve is the step for a server on a port.
func serve(sandbox pod.Sandbox, port int32) string {
	return fmt.Sprintf("serve=%d", sandbox.Port(port))
}
