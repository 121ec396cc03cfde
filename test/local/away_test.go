package local_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// gate is the network in front of an API server, which can fail.
type gate struct {
	t       *testing.T
	backend string
	address string

	mu       sync.Mutex
	listener net.Listener
	silent   bool // connections stay, and nothing passes
	conns    []net.Conn
	passed   int // connections
}

// behindGate puts the API server of a kubeconfig behind a gate.
func behindGate(t *testing.T, kubeconfig string) (*gate, string) {
	t.Helper()
	raw, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(raw), "https://")
	server, err := url.Parse(strings.Fields(string(raw[at:]))[0])
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, backend: server.Host, address: "127.0.0.1:0"}
	g.open()
	t.Cleanup(g.shut)
	g.address = g.listener.Addr().String()
	return g, rewrite(t, kubeconfig, server.Host, g.address)
}

func (g *gate) open() {
	g.t.Helper()
	listener, err := net.Listen("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	g.listener, g.silent = listener, false
	g.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go g.forward(conn)
		}
	}()
}

func (g *gate) forward(front net.Conn) {
	back, err := net.Dial("tcp", g.backend)
	if err != nil {
		front.Close()
		return
	}
	g.mu.Lock()
	g.conns, g.passed = append(g.conns, front, back), g.passed+1
	g.mu.Unlock()
	go g.copy(back, front)
	g.copy(front, back)
}

func (g *gate) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if g.isSilent() {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

func (g *gate) isSilent() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.silent
}

// shut ends the server: nobody listens, and connections are cut.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listener.Close()
	for _, c := range g.conns {
		c.Close()
	}
	g.conns = nil
}

// hush lets the network lose everything, on connections that are there as on new ones.
func (g *gate) hush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.silent = true
}

// unhush ends that for new connections; those that were there stay dead.
func (g *gate) unhush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.silent = false
}

// wanted waits until the recorder has seen a line that contains all words.
func wanted(t *testing.T, seen *progresstest.Recorder, within time.Duration, words ...string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for ; ; time.Sleep(20 * time.Millisecond) {
		for _, line := range seen.Lines() {
			found := true
			for _, word := range words {
				found = found && strings.Contains(line, word)
			}
			if found {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v was not reported within %s: %v", words, within, seen.Lines())
		}
	}
}

func watchedClient(t *testing.T, kubeconfig string) (*cluster.Client, *progresstest.Recorder) {
	t.Helper()
	seen := &progresstest.Recorder{}
	c, err := cluster.New(cluster.Options{Kubeconfig: kubeconfig, Env: func(string) string { return "" }, UserAgent: "kn-lite/test", Progress: seen})
	if err != nil {
		t.Fatal(err)
	}
	return c, seen
}

// A wait says within seconds that the API server is gone, goes on when it is back,
// and sees what has happened meanwhile. Connections that are dead and do not know
// it are given up.
func TestAwayAndBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		fail, mend func(*gate)
		within     time.Duration
	}{
		{"stopped", (*gate).shut, (*gate).open, 5 * time.Second},
		{"silent", (*gate).hush, (*gate).unhush, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			objects, kubeconfig := serve(t)
			gate, through := behindGate(t, kubeconfig)
			c, seen := watchedClient(t, through)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			made, err := c.CreateService(ctx, service("hello"), false)
			if err != nil {
				t.Fatal(err)
			}
			first := make(chan struct{})
			done := make(chan error, 1)
			stop := errors.New("seen")
			go func() {
				open := sync.OnceFunc(func() { close(first) })
				done <- c.WatchService(ctx, "hello", func(s *servingv1.Service) error {
					open()
					if s.Labels["changed"] != "" {
						return stop
					}
					return nil
				})
			}()
			<-first
			tt.fail(gate)
			began := time.Now()
			wanted(t, seen, tt.within, "warn", "https://"+gate.address, "does not answer")
			t.Logf("reported after %s", time.Since(began))
			if c.Unreachable() == nil {
				t.Error("it counts as reachable")
			}
			next := made.DeepCopy()
			next.Labels = map[string]string{"changed": "meanwhile"}
			if _, err := objects.Update(next); err != nil {
				t.Fatal(err)
			}
			tt.mend(gate)
			wanted(t, seen, tt.within, "note", "https://"+gate.address, "answers again")
			select {
			case err := <-done:
				if !errors.Is(err, stop) {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the wait has not been taken up again")
			}
			if c.Unreachable() != nil {
				t.Errorf("it is back: %v", c.Unreachable())
			}
			if n := strings.Count(strings.Join(seen.Lines(), "\n"), "does not answer"); n != 1 {
				t.Errorf("reported %d times: %v", n, seen.Lines())
			}
		})
	}
}

// Time that is up while the API server is away is that, and not a condition which
// was seen before.
func TestAwayAtTheDeadline(t *testing.T) {
	t.Parallel()
	_, kubeconfig := serve(t)
	gate, through := behindGate(t, kubeconfig)
	c, _ := watchedClient(t, through)
	made, err := c.CreateService(t.Context(), service("hello"), false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	snap := knative.Snapshot(made)
	_, err = traffic.Await(ctx, c.Traffic(), snap, func(string) { gate.shut() })
	wantKind(t, err, fault.Timeout)
	if err == nil || !strings.Contains(err.Error(), "https://"+gate.address) || !strings.Contains(err.Error(), "not answered") || strings.Contains(err.Error(), "not yet seen") {
		t.Errorf("the cause: %v", err)
	}
}

// Logs that are followed end when the API server is gone for good.
func TestAwayForGood(t *testing.T) {
	t.Parallel()
	objects, kubeconfig := serve(t)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello-1", Labels: map[string]string{"serving.knative.dev/service": "hello"}}}
	pod.Spec.Containers = []corev1.Container{{Name: "user-container", Image: "i"}}
	if _, err := objects.Create(pod); err != nil {
		t.Fatal(err)
	}
	gate, through := behindGate(t, kubeconfig)
	c, seen := watchedClient(t, through)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	time.AfterFunc(time.Second, gate.shut)
	began := time.Now()
	_, err := c.Logs(ctx, cluster.LogOptions{Service: "hello", Follow: true, Tail: -1, GiveUpAfter: 4 * time.Second}, func(cluster.LogLine) error { return nil })
	wantKind(t, err, fault.Transient)
	if took := time.Since(began); took < 4*time.Second || took > 20*time.Second || !strings.Contains(err.Error(), "https://"+gate.address) {
		t.Errorf("after %s: %v", took, err)
	}
	wanted(t, seen, 0, "warn", "does not answer")
}
