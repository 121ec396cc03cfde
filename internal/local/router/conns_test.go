package router

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// rawPod is an instance that is no server of net/http: answer gets each connection with
// its first request, of which the head is read.
func (p *platform) rawPod(answer func(conn net.Conn, in *bufio.Reader, request *http.Request)) (conns *atomic.Int64) {
	p.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(p.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	conns = &atomic.Int64{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					request, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					answer(conn, in, request)
				}
			}()
		}
	}()
	p.revision("v1")
	server := &httptest.Server{Listener: listener, Config: &http.Server{ReadHeaderTimeout: time.Second}}
	p.mu.Lock()
	p.servers["raw"] = server
	p.mu.Unlock()
	p.create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "raw", Labels: map[string]string{serving.RevisionLabelKey: "v1"}}})
	pod, _ := store.Get[*corev1.Pod](p.store, "default", "raw")
	p.setReady(pod, true)
	p.route("hello", "v1=100")
	p.t.Cleanup(func() { listener.Close() })
	return conns
}

// Requests that follow one another need one connection: with a body and without, with
// an answer of known length and without, and with none.
func TestConnectionIsUsedAgain(t *testing.T) {
	p := newPlatform(t)
	addresses := make(chan string, 100)
	p.one(func(w http.ResponseWriter, r *http.Request) {
		addresses <- r.RemoteAddr
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/parts":
			fmt.Fprint(w, "a")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "b")
		default:
			fmt.Fprint(w, strings.Repeat("a", 100_000))
		}
	})
	used := map[string]bool{}
	for range 3 {
		for _, path := range []string{"/", "/empty", "/parts"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
				var body io.Reader
				if method == http.MethodPost {
					body = strings.NewReader("data")
				}
				if got, err := p.do(p.request(method, hello, path, body)); err != nil || got.status >= 300 {
					t.Fatalf("%s %s: %+v, %v", method, path, got, err)
				}
				used[<-addresses] = true
			}
		}
	}
	if len(used) > 1 {
		t.Errorf("36 requests took %d connections", len(used))
	}
}

// An instance may close a connection after an answer without having said so. Neither a
// request that may be repeated nor another notices.
func TestClosedBehindAnAnswer(t *testing.T) {
	p := newPlatform(t)
	conns := p.rawPod(func(conn net.Conn, _ *bufio.Reader, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
		conn.Close()
	})
	for range 5 {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			time.Sleep(5 * time.Millisecond) // the close is on its way
			if got, err := p.do(p.request(method, hello, "/", nil)); err != nil || got.body != "fine" {
				t.Errorf("%s: %+v, %v", method, got, err)
			}
		}
	}
	if n := conns.Load(); n != 10 {
		t.Errorf("10 requests to an instance that closes all connections took %d", n)
	}
}

// What an instance sends beyond its answer is never the answer to another request.
func TestNothingIsLeftForTheNext(t *testing.T) {
	for _, late := range []bool{false, true} {
		p := newPlatform(t)
		p.rawPod(func(conn net.Conn, _ *bufio.Reader, request *http.Request) {
			own := request.URL.Path
			answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(own), own)
			more := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
			if !late {
				answer += more
			}
			fmt.Fprint(conn, answer)
			if late {
				time.Sleep(2 * time.Millisecond)
				fmt.Fprint(conn, more)
			}
		})
		for n := range 10 {
			path := fmt.Sprintf("/%d", n)
			got, err := p.do(p.request(http.MethodGet, hello, path, nil))
			if err != nil || got.body != path {
				t.Errorf("late %t: %+v, %v, want %s", late, got, err, path)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// A request that its client breaks off in the middle leaves no connection behind on
// which another one would be read as its rest.
func TestBrokenOffUpload(t *testing.T) {
	p := newPlatform(t)
	bodies := make(chan string, 10)
	p.one(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		bodies <- fmt.Sprint(r.URL.Path, " ", len(raw), " ", err == nil)
		fmt.Fprint(w, "fine")
	})
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	request := p.request(http.MethodPost, hello, "/broken", reader).WithContext(ctx)
	request.ContentLength = 1000
	go func() {
		_, _ = writer.Write(make([]byte, 500))
		cancel()
		writer.CloseWithError(context.Canceled)
	}()
	if _, err := p.do(request); err == nil {
		t.Error("the request was not broken off")
	}
	if got := <-bodies; !strings.HasSuffix(got, "false") {
		t.Errorf("the instance took for complete: %s", got)
	}
	if got, err := p.do(p.request(http.MethodPost, hello, "/next", strings.NewReader("data"))); err != nil || got.body != "fine" {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
	if got := <-bodies; got != "/next 4 true" {
		t.Errorf("the instance has got %s", got)
	}
}

// An answer whose header has no end costs no memory without end.
func TestEndlessHeader(t *testing.T) {
	p := newPlatform(t)
	p.rawPod(func(conn net.Conn, _ *bufio.Reader, _ *http.Request) {
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n")
		line := "X-Line: " + strings.Repeat("a", 32<<10) + "\r\n"
		for {
			if _, err := fmt.Fprint(conn, line); err != nil {
				return
			}
		}
	})
	got, err := p.do(p.request(http.MethodGet, hello, "/", nil))
	if err != nil || got.status != http.StatusBadGateway || !strings.Contains(got.body, "larger than 10 MB") {
		t.Errorf("%.200v, %v", got, err)
	}
}

// An instance that answers and closes while a request still comes has answered.
func TestAnswerBeforeTheEndOfARequest(t *testing.T) {
	p := newPlatform(t)
	p.rawPod(func(conn net.Conn, _ *bufio.Reader, _ *http.Request) {
		fmt.Fprint(conn, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge")
		_ = conn.(*net.TCPConn).CloseWrite()
		time.Sleep(100 * time.Millisecond)
		conn.Close()
	})
	got, err := p.do(p.request(http.MethodPut, hello, "/", strings.NewReader(strings.Repeat("a", 8<<20))))
	if err != nil || got.status != http.StatusRequestEntityTooLarge || got.body != "large" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Connections that nobody needs are closed after a while, and with their pod.
func TestIdleConnectionsEnd(t *testing.T) {
	p := newPlatform(t)
	closed := make(chan struct{}, 10)
	p.rawPod(func(conn net.Conn, in *bufio.Reader, _ *http.Request) {
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
		if _, err := in.Peek(1); err != nil {
			closed <- struct{}{}
		}
	})
	begin := time.Now()
	p.get(hello)
	<-closed
	if took := time.Since(begin); took < idleConnTime {
		t.Errorf("closed after %v", took)
	}
	p.get(hello)
	begin = time.Now()
	pod, _ := store.Get[*corev1.Pod](p.store, "default", "raw")
	p.store.Remove(pod)
	p.router.catchUp()
	<-closed
	if took := time.Since(begin); took >= idleConnTime {
		t.Errorf("a pod's connection was open %v longer", took)
	}
}
