package devrun

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// through starts a program's handler behind a proxy, and returns where that is.
func through(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	program := httptest.NewUnstartedServer(handler)
	program.Config.Protocols = protocols(true, true)
	program.Start()
	t.Cleanup(program.Close)
	p := newProxy()
	p.use(newBackend(program.Listener.Addr().String()))
	listeners, port, err := Listen(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.serve(listeners))
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func protocols(http1, http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2)
	return p
}

// TestRequestsArriveAsSent sends what proxies like to change.
func TestRequestsArriveAsSent(t *testing.T) {
	address := through(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s|%s|%s|%s|%s|%s|%s", r.Method, r.RequestURI, r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("User-Agent"), r.Header.Get("Accept-Encoding"), body)
	})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "PROPFIND /a//b/%2F/../c;d?q=1;2&x=%zz HTTP/1.1\r\nHost: hello.example\r\nX-Forwarded-For: 192.0.2.1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if want := "PROPFIND|/a//b/%2F/../c;d?q=1;2&x=%zz|hello.example|192.0.2.1|||body"; err != nil || string(got) != want {
		t.Errorf("it arrives as %s %v\nwant %s", got, err, want)
	}
}

// TestProtocols has the program hear the protocol that its client speaks.
func TestProtocols(t *testing.T) {
	address := through(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-After")
		fmt.Fprint(w, r.Proto)
		w.Header().Set("X-After", "done")
	})
	for want, p := range map[string]*http.Protocols{"HTTP/1.1": protocols(true, false), "HTTP/2.0": protocols(false, true)} {
		transport := &http.Transport{Protocols: p}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil || string(got) != want || response.Trailer.Get("X-After") != "done" {
			t.Errorf("%s arrives as %s, trailers %v, %v", want, got, response.Trailer, err)
		}
		response.Body.Close()
	}
}

// TestStreams reads an answer while it is written, and switches protocols.
func TestStreams(t *testing.T) {
	goOn := make(chan struct{})
	address := through(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "echo" {
			conn, buffer, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = io.Copy(conn, buffer)
			return
		}
		fmt.Fprintln(w, "one")
		_ = http.NewResponseController(w).Flush()
		<-goOn
		fmt.Fprintln(w, "two")
	})
	response, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(response.Body)
	first, err := lines.ReadString('\n')
	close(goOn)
	second, err2 := lines.ReadString('\n')
	if first != "one\n" || second != "two\n" || err != nil || err2 != nil {
		t.Errorf("it reads %q %q %v %v", first, second, err, err2)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()

	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	answers := bufio.NewReader(conn)
	if switched, err := http.ReadResponse(answers, nil); err != nil || switched.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", switched, err)
	}
	fmt.Fprintln(conn, "ping")
	if line, err := answers.ReadString('\n'); err != nil || line != "ping\n" {
		t.Errorf("the echo is %q %v", line, err)
	}
}

// TestRequestsWait has a request wait for the first program, and not for ever.
func TestRequestsWait(t *testing.T) {
	p := newProxy()
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if b, why := p.acquire(short); b != nil || why == "" {
		t.Errorf("there is %v %q", b, why)
	}
	got := make(chan *backend, 1)
	go func() {
		b, _ := p.acquire(t.Context())
		got <- b
	}()
	p.hold()
	want := newBackend("127.0.0.1:1")
	p.use(want)
	if b := <-got; b != want {
		t.Error("it waits for another one")
	}
	p.refuse("because")
	if b, why := p.acquire(t.Context()); b != nil || why != "because" {
		t.Errorf("there is %v %q", b, why)
	}
	began := time.Now()
	want.drain(t.Context(), 50*time.Millisecond) // one request has begun
	if time.Since(began) < 50*time.Millisecond {
		t.Error("it does not wait for a request under way")
	}
	time.AfterFunc(20*time.Millisecond, want.end)
	began = time.Now()
	want.drain(t.Context(), time.Minute)
	if time.Since(began) > 30*time.Second {
		t.Error("it does not see the end of the request")
	}
}

// TestNoAnswer is a program that is not there any more.
func TestNoAnswer(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy()
	p.use(newBackend(fmt.Sprintf("127.0.0.1:%d", port)))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "did not answer") {
		t.Errorf("the answer is %d %s", w.Code, w.Body)
	}
}
