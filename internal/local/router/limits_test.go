package router

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

func TestConcurrencyIsLimited(t *testing.T) {
	p := newPlatform(t)
	for name, limit := range map[string]int64{"one": 1, "three": 3} {
		p.revision(name, concurrency(limit))
		var served [2]atomic.Int64
		for i := range served {
			var now atomic.Int64
			p.pod(name, func(http.ResponseWriter, *http.Request) {
				if n := now.Add(1); n > limit {
					t.Errorf("%s: %d requests at a time", name, n)
				}
				time.Sleep(5 * time.Millisecond)
				now.Add(-1)
				served[i].Add(1)
			})
		}
		p.route(name, name+"=100")
		var requests sync.WaitGroup
		for range 60 {
			requests.Go(func() {
				if got := p.get(name + ".default.localhost"); got.status != http.StatusOK {
					t.Errorf("%s: %+v", name, got)
				}
			})
		}
		requests.Wait()
		if a, b := served[0].Load(), served[1].Load(); a+b != 60 || a < 20 || b < 20 {
			t.Errorf("%s: the two instances served %d and %d requests", name, a, b)
		}
	}
}

func TestQueueIsFull(t *testing.T) {
	p := newPlatform(t)
	release := make(chan struct{})
	p.revision("v1", concurrency(1), func(r *servingv1.Revision) {
		r.Annotations = map[string]string{"autoscaling.knative.dev/target-burst-capacity": "0"}
	})
	p.pod("v1", func(http.ResponseWriter, *http.Request) { <-release })
	p.route("hello", "v1=100")
	var served, refused atomic.Int64
	var requests sync.WaitGroup
	for range 15 {
		requests.Go(func() {
			switch got := p.get(hello); got.status {
			case http.StatusOK:
				served.Add(1)
			case http.StatusServiceUnavailable:
				refused.Add(1)
				if got.body != "pending request queue full" {
					t.Errorf("%q", got.body)
				}
			default:
				t.Errorf("%+v", got)
			}
		})
	}
	p.eventually("four are refused", func() bool { return refused.Load() == 4 })
	close(release)
	requests.Wait()
	if served.Load() != 11 || refused.Load() != 4 {
		t.Errorf("%d served, %d refused; one at a time and ten that wait are allowed", served.Load(), refused.Load())
	}
}

// The least loaded instance is asked, not the next one.
func TestLeastLoaded(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1")
	hold, held := make(chan struct{}), make(chan struct{}, 10)
	p.pod("v1", func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			held <- struct{}{}
			<-hold
		}
	})
	var quick atomic.Int64
	p.pod("v1", func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			held <- struct{}{}
			<-hold
		}
		quick.Add(1)
	})
	p.route("hello", "v1=100")
	var requests sync.WaitGroup
	for range 2 {
		requests.Go(func() { _, _ = p.do(p.request(http.MethodGet, hello, "/hold", nil)) })
	}
	<-held
	<-held
	for range 10 {
		p.get(hello) // both have one under way
	}
	if n := quick.Load(); n != 5 {
		t.Errorf("of equals one was asked %d times of 10", n)
	}
	close(hold)
	requests.Wait()
}

func TestTimeouts(t *testing.T) {
	p := newPlatform(t)
	sleep := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			<-r.Context().Done()
		case "/stalls":
			fmt.Fprint(w, "first")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/short":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "first")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/steady":
			for range 5 {
				fmt.Fprint(w, "part ")
				w.(http.Flusher).Flush()
				time.Sleep(400 * time.Millisecond)
			}
		}
	}
	for name, limit := range map[string]func(*servingv1.Revision){"total": timeouts(1, 0, 0), "start": timeouts(5, 1, 0), "idle": timeouts(5, 0, 1)} {
		p.revision(name, limit)
		p.pod(name, sleep)
		p.route(name, name+"=100")
	}
	var requests sync.WaitGroup
	for _, test := range []struct {
		revision, path string
		status         int
		complete       bool
		body           string
	}{
		{"total", "/silent", http.StatusGatewayTimeout, true, "request timeout"},
		{"total", "/stalls", http.StatusOK, true, "first"},
		{"total", "/steady", http.StatusOK, true, "part part part"},
		{"total", "/short", http.StatusOK, false, "first"},
		{"start", "/silent", http.StatusGatewayTimeout, true, "request timeout"},
		{"start", "/steady", http.StatusOK, true, "part part part part part"},
		{"idle", "/silent", http.StatusGatewayTimeout, true, "request timeout"},
		{"idle", "/stalls", http.StatusOK, true, "first"},
		{"idle", "/steady", http.StatusOK, true, "part part part part part"},
	} {
		for name, client := range map[string]*http.Client{"HTTP/1.1": p.client, "HTTP/2": h2client()} {
			requests.Go(func() {
				name, start := name+" "+test.revision+test.path, time.Now()
				response, err := client.Do(p.request(http.MethodGet, test.revision+".default.localhost", test.path, nil))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				took := time.Since(start)
				if got := strings.TrimSpace(string(body)); response.StatusCode != test.status || (err == nil) != test.complete || got != test.body {
					t.Errorf("%s after %v: %d %q %v", name, took, response.StatusCode, got, err)
				}
				if took < time.Second || took > 4*time.Second {
					t.Errorf("%s took %v", name, took)
				}
			})
		}
	}
	requests.Wait()
}

// A client that sends or reads nothing more holds its place no longer than the
// revision allows, and the next request on its connection is none the worse.
func TestClientStalls(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1", timeouts(1, 0, 0), concurrency(1))
	p.pod("v1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/download" {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	p.route("hello", "v1=100")
	v := p.known("v1")
	for _, request := range []string{
		"POST /upload HTTP/1.1\r\nHost: " + hello + "\r\nContent-Length: 100000\r\n\r\nsome",
		"GET /download HTTP/1.1\r\nHost: " + hello + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", p.front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, request)
		p.eventually("the request is there", func() bool {
			v.mu.Lock()
			defer v.mu.Unlock()
			return v.load.now == 1
		})
		if strings.HasPrefix(request, "POST") {
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != http.StatusGatewayTimeout {
				t.Errorf("%.20q: %v, %v", request, response, err)
			}
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			v.mu.Lock()
			now := v.load.now
			v.mu.Unlock()
			if now == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%.20q holds its place", request)
			}
		}
		conn.Close()
		if got := p.get(hello); got.status != http.StatusOK {
			t.Errorf("after %.20q: %+v", request, got)
		}
	}
}

func TestServerRefusesSlowAndLarge(t *testing.T) {
	p := newPlatform(t)
	p.one(says("hello"))
	req := p.request(http.MethodGet, hello, "/", nil)
	req.Header.Set("X-Large", strings.Repeat("x", 200<<10))
	if got, err := p.do(req); err != nil || got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("200 KB of headers: %+v, %v", got, err)
	}
	large := h2client()
	if response, err := large.Do(req); err == nil {
		response.Body.Close()
		if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("200 KB of headers on HTTP/2: %d", response.StatusCode)
		}
	}
	server := NewServer(p.router)
	if server.ReadHeaderTimeout != headerTime || server.WriteTimeout != 0 || server.ReadTimeout != 0 {
		t.Errorf("%+v", server)
	}
	server.ReadHeaderTimeout = 200 * time.Millisecond
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("a slow header is waited for: %v", err)
	}
}

// Held requests are dropped one by one as their clients go, and the rest is
// served in the order in which it came.
func TestOrderOfThoseWhoWait(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1", concurrency(1))
	p.route("hello", "v1=100")
	v := p.known("v1")
	type turn struct {
		n   int
		pod *pod
		err error
	}
	turns := make(chan turn, 10)
	gone, cancel := context.WithCancel(t.Context())
	for n := range 6 {
		ctx := t.Context()
		if n%2 == 1 {
			ctx = gone
		}
		go func() {
			pod, err := v.acquire(ctx, nil)
			turns <- turn{n, pod, err}
		}()
		p.eventually("it waits", func() bool {
			v.mu.Lock()
			defer v.mu.Unlock()
			return v.waiting.Len() == n+1
		})
	}
	cancel()
	for range 3 {
		if got := <-turns; got.n%2 != 1 || !errors.Is(got.err, context.Canceled) {
			t.Errorf("%+v", got)
		}
	}
	p.pod("v1", says("hello"))
	for _, want := range []int{0, 2, 4} {
		got := <-turns
		if got.n != want || got.err != nil {
			t.Errorf("%+v, want %d", got, want)
		}
		v.mu.Lock()
		v.release(got.pod)
		v.mu.Unlock()
	}
}

// An upgraded connection is idle when the container sends nothing, and not before.
func TestIdleUpgrade(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1", timeouts(20, 0, 1))
	p.pod("v1", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		for range 4 {
			time.Sleep(400 * time.Millisecond)
			fmt.Fprint(conn, "tick ")
		}
		_, _ = io.ReadAll(conn)
	})
	p.route("hello", "v1=100")
	conn, err := net.Dial("tcp", p.front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", hello)
	start, in := time.Now(), bufio.NewReader(conn)
	if response, err := http.ReadResponse(in, nil); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", response, err)
	}
	got, err := io.ReadAll(in)
	if took := time.Since(start); string(got) != "tick tick tick tick " || err != nil || took < 2400*time.Millisecond || took > 5*time.Second {
		t.Errorf("%q, %v after %v", got, err, took)
	}
}
