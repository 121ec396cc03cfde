package wrapper

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// listen serves f on loopback and returns its URL and how to end it.
func listen(t *testing.T, f function) (url string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ended := make(chan error, 1)
	go func() { ended <- f.serveOn(ctx, listener, []string{"GREETING=hello=there"}) }()
	return "http://" + listener.Addr().String(), func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Second):
			return errors.New("the server does not end")
		}
	}
}

func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Proto + " " + string(body)
}

func echo(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.EscapedPath()) }

func TestEveryPathReachesTheFunction(t *testing.T) {
	url, stop := listen(t, function{handle: echo})
	for _, path := range []string{"/", "/a/b", "/a//b", "/a/../b", "/health", "/health/", "/health/other", "/%2F"} {
		if code, body := get(t, http.DefaultClient, url+path); code != 200 || body != "HTTP/1.1 "+path {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	url, stop := listen(t, function{handle: echo})
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	if code, body := get(t, &http.Client{Transport: transport}, url+"/x"); code != 200 || body != "HTTP/2.0 /x" {
		t.Errorf("%d %q", code, body)
	}
	transport.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// probe is a function with all optional methods.
type probe struct {
	started map[string]string
	stopped bool
	alive   func() (bool, error)
	ready   func() (bool, error)
	fail    error
}

func (p *probe) Start(_ context.Context, env map[string]string) error {
	p.started = env
	return p.fail
}

func (p *probe) Stop(context.Context) error {
	p.stopped = true
	return p.fail
}

func (p *probe) Alive(context.Context) (bool, error) { return p.alive() }
func (p *probe) Ready(context.Context) (bool, error) { return p.ready() }

func TestLifecycle(t *testing.T) {
	p := &probe{
		alive: func() (bool, error) { return false, errors.New("deadlock") },
		ready: func() (bool, error) { return false, nil },
	}
	url, stop := listen(t, function{handle: echo, instance: p})
	if code, body := get(t, http.DefaultClient, url+"/health/liveness"); code != 500 || !strings.Contains(body, "deadlock") {
		t.Errorf("liveness: %d %q", code, body)
	}
	if code, _ := get(t, http.DefaultClient, url+"/health/readiness"); code != 503 {
		t.Errorf("readiness: %d", code)
	}
	if err := stop(); err != nil || !p.stopped || p.started["GREETING"] != "hello=there" {
		t.Errorf("stop: %v; stopped %v; started with %v", err, p.stopped, p.started)
	}
}

func TestHealthWithoutMethods(t *testing.T) {
	url, stop := listen(t, function{handle: func(http.ResponseWriter, *http.Request) { t.Error("a probe reached the function") }, instance: struct{}{}})
	for _, path := range []string{"/health/liveness", "/health/readiness"} {
		if code, _ := get(t, http.DefaultClient, url+path); code != 200 {
			t.Errorf("%s: %d", path, code)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestStartFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no database")
	f := function{handle: echo, instance: &probe{fail: broken}}
	if err := f.serveOn(context.Background(), listener, nil); !errors.Is(err, broken) {
		t.Errorf("err = %v", err)
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

// A request that is under way when SIGTERM comes gets its answer.
func TestDrain(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	url, stop := listen(t, function{handle: func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, "done")
	}})
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get(url)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-entered
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	select {
	case err := <-ended:
		t.Fatalf("ended before the request: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("answer = %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{nil, ":8080"},
		{map[string]string{"PORT": "9000"}, ":9000"},
		{map[string]string{"PORT": "9000", "LISTEN_ADDRESS": "127.0.0.1:1"}, "127.0.0.1:1"},
	} {
		if got := address(func(k string) string { return tt.env[k] }); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.env, got, tt.want)
		}
	}
}
