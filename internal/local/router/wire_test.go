package router

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

const hello = "hello.default.127.0.0.1.sslip.io:7080"

// one makes a service hello of one revision with one instance.
func (p *platform) one(handler http.HandlerFunc) {
	p.t.Helper()
	p.revision("v1")
	p.pod("v1", handler)
	p.route("hello", "v1=100")
}

func TestHeaders(t *testing.T) {
	p := newPlatform(t)
	seen := make(chan *http.Request, 1)
	p.one(func(_ http.ResponseWriter, r *http.Request) { seen <- r })
	req := p.request(http.MethodGet, hello, "/a%2Fb/../c?x=1;y=2&z=%zz", nil)
	req.Header.Set("This-Was-User-Set", "a value")
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if _, err := p.do(req); err != nil {
		t.Fatal(err)
	}
	got := <-seen
	if got.Host != hello || got.RequestURI != "/a%2Fb/../c?x=1;y=2&z=%zz" {
		t.Errorf("host %q, URI %q", got.Host, got.RequestURI)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": hello,
		"Forwarded":         `for=127.0.0.1;host="` + hello + `";proto=http`,
		"This-Was-User-Set": "a value", "Traceparent": req.Header.Get("Traceparent"),
		"Accept-Encoding": "", "K-Network-Hash": "", "Knative-Serving-Default-Route": "",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if id := got.Header.Get("X-Request-Id"); len(id) != 36 {
		t.Errorf("X-Request-Id: %q", id)
	}
	// What a proxy before this one says stays.
	req = p.request(http.MethodGet, hello, "/", nil)
	req.Header = http.Header{
		"X-Forwarded-For": {"10.1.2.3, fd00::1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"example.com"}, "X-Request-Id": {"mine"}, "User-Agent": {""},
	}
	if _, err := p.do(req); err != nil {
		t.Fatal(err)
	}
	got = <-seen
	for name, want := range map[string]string{
		"X-Forwarded-For": "10.1.2.3, fd00::1, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Request-Id": "mine", "User-Agent": "",
		"Forwarded": `for=10.1.2.3;host=example.com;proto=https, for="[fd00::1]", for=127.0.0.1`,
	} {
		if got.Header.Get(name) != want {
			t.Errorf("behind a proxy, %s: %q, want %q", name, got.Header.Get(name), want)
		}
	}
}

// What is written is there at once, on both protocols, and trailers follow.
func TestStreams(t *testing.T) {
	p := newPlatform(t)
	next := make(chan struct{})
	p.one(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sized" {
			w.Header().Set("Content-Length", "4")
		}
		w.Header().Set("Trailer", "X-Sum")
		for _, part := range []string{"a\n", "b\n"} {
			fmt.Fprint(w, part)
			w.(http.Flusher).Flush()
			<-next
		}
		w.Header().Set("X-Sum", "2")
		w.Header().Set(http.TrailerPrefix+"X-Late", "yes")
	})
	for name, client := range map[string]*http.Client{"HTTP/1.1": p.client, "HTTP/2": h2client()} {
		for _, path := range []string{"/", "/sized"} {
			response, err := client.Do(p.request(http.MethodGet, hello, path, nil))
			if err != nil {
				t.Fatal(name, err)
			}
			lines := bufio.NewReader(response.Body)
			for _, want := range []string{"a\n", "b\n"} {
				if line, err := lines.ReadString('\n'); line != want || err != nil {
					t.Errorf("%s%s: %q, %v", name, path, line, err)
				}
				next <- struct{}{}
			}
			if _, err := io.ReadAll(lines); err != nil {
				t.Error(name, err)
			}
			if path == "/" && (response.Trailer.Get("X-Sum") != "2" || response.Trailer.Get("X-Late") != "yes") {
				t.Errorf("%s: trailers %v", name, response.Trailer)
			}
			response.Body.Close()
		}
	}
}

func h2client() *http.Client {
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{Protocols: protocols}}
}

// An answer may begin before the request is over.
func TestBothWaysAtOnce(t *testing.T) {
	p := newPlatform(t)
	echo := func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprint(w, line)
			w.(http.Flusher).Flush()
		}
	}
	p.one(echo)
	p.revision("v2", h2c)
	p.pod("v2", echo)
	p.route("two", "v2=100")
	for name, client := range map[string]*http.Client{"HTTP/1.1": p.client, "HTTP/2": h2client()} {
		for _, host := range []string{hello, "two.default.localhost"} {
			in, out := io.Pipe()
			response, err := client.Do(p.request(http.MethodPost, host, "/", io.MultiReader(strings.NewReader("first\n"), in)))
			if err != nil {
				t.Fatal(name, host, err)
			}
			lines := bufio.NewReader(response.Body)
			for i, want := range []string{"first\n", "second\n", "third\n"} {
				if i > 0 {
					fmt.Fprint(out, want)
				}
				if line, err := lines.ReadString('\n'); line != want || err != nil {
					t.Errorf("%s %s: %q, %v", name, host, line, err)
				}
			}
			out.Close()
			if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
				t.Errorf("%s %s: then %q, %v", name, host, rest, err)
			}
			response.Body.Close()
		}
	}
}

func TestWebSocket(t *testing.T) {
	p := newPlatform(t)
	upgrade := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.ProtoMajor != 1 || r.Header.Get("Connection") != "Upgrade" {
			http.Error(w, fmt.Sprint(r.Proto, r.Header), http.StatusBadRequest)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nwelcome\n")
		_, _ = io.Copy(conn, buffered)
	}
	p.one(upgrade)
	p.revision("v2", h2c)
	p.pod("v2", upgrade)
	p.route("two", "v2=100")
	for _, host := range []string{hello, "two.default.localhost"} {
		conn, err := net.Dial("tcp", p.front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "GET /chat HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n", host)
		in := bufio.NewReader(conn)
		response, err := http.ReadResponse(in, nil)
		if err != nil || response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-Websocket-Accept") != "x" {
			t.Fatalf("%s: %+v, %v", host, response, err)
		}
		if line, err := in.ReadString('\n'); line != "welcome\n" || err != nil {
			t.Errorf("%s: %q, %v", host, line, err)
		}
		frame := make([]byte, 1<<20)
		_, _ = rand.Read(frame)
		go func() { _, _ = conn.Write(frame) }()
		back := make([]byte, len(frame))
		if _, err := io.ReadFull(in, back); err != nil || !bytes.Equal(frame, back) {
			t.Errorf("%s: a frame of a megabyte: %v", host, err)
		}
		conn.Close()
	}
	v := p.known("v1")
	p.eventually("the closed connection counts no longer", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.load.now == 0 && v.ready[0].inFlight == 0
	})
}

// The form of gRPC: frames both ways on HTTP/2, the status in a trailer.
func TestGRPC(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1", h2c)
	p.pod("v1", func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" {
			t.Errorf("%s, TE %q", r.Proto, r.Header.Get("Te"))
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		if strings.HasSuffix(r.URL.Path, "/Refuse") {
			w.Header().Set("Grpc-Status", "7") // trailers only
			return
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for {
			message, err := readFrame(r.Body)
			if err != nil {
				break
			}
			_, _ = w.Write(frame(append([]byte("re: "), message...)))
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set("Grpc-Message", "fine")
	})
	p.route("hello", "v1=100")
	client := h2client()
	call := func(method string, body io.Reader) *http.Response {
		req := p.request(http.MethodPost, hello, "/test.Echo/"+method, body)
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
		response, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		return response
	}
	in, out := io.Pipe()
	response := call("Chat", in)
	for i := range 20 {
		message := fmt.Sprint("message ", i)
		_, _ = out.Write(frame([]byte(message)))
		if got, err := readFrame(response.Body); string(got) != "re: "+message || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	out.Close()
	if _, err := io.ReadAll(response.Body); err != nil || response.Trailer.Get("Grpc-Status") != "0" || response.Trailer.Get("Grpc-Message") != "fine" {
		t.Errorf("trailers %v, %v", response.Trailer, err)
	}
	response = call("Refuse", nil)
	_, _ = io.ReadAll(response.Body)
	if response.Trailer.Get("Grpc-Status") != "7" {
		t.Errorf("a refused call: %v %v", response.Header, response.Trailer)
	}
}

func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

// The name of the port decides what a container is spoken to in, not the client.
func TestProtocolOfThePort(t *testing.T) {
	p := newPlatform(t)
	proto := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }
	p.one(proto)
	p.revision("v2", h2c)
	p.pod("v2", proto)
	p.route("two", "v2=100")
	for name, client := range map[string]*http.Client{"HTTP/1.1": p.client, "HTTP/2": h2client()} {
		for host, want := range map[string]string{hello: "HTTP/1.1", "two.default.localhost": "HTTP/2.0"} {
			response, err := client.Do(p.request(http.MethodGet, host, "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if string(body) != want {
				t.Errorf("%s to %s: %s", name, host, body)
			}
		}
	}
}

func TestInformationalAnswers(t *testing.T) {
	p := newPlatform(t)
	p.one(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/early":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		case "/refuse":
			http.Error(w, "no", http.StatusRequestEntityTooLarge)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, len(body))
	})
	for path, want := range map[string]string{"/early": "103", "/accept": "100", "/refuse": ""} {
		seen := ""
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			seen = fmt.Sprint(code)
			return nil
		}, Got100Continue: func() { seen = "100" }}
		body := &counted{Reader: strings.NewReader(strings.Repeat("x", 1000))}
		req := p.request(http.MethodPost, hello, path, body)
		req.ContentLength = 1000
		if path != "/early" {
			req.Header.Set("Expect", "100-continue")
		}
		client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 5 * time.Second, DisableKeepAlives: true}}
		response, err := client.Do(req.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
		if err != nil {
			t.Fatal(path, err)
		}
		response.Body.Close()
		if seen != want {
			t.Errorf("%s: interim answer %q, want %q", path, seen, want)
		}
		if path == "/refuse" && (response.StatusCode != http.StatusRequestEntityTooLarge || body.n > 0) {
			t.Errorf("%s: %d after %d bytes", path, response.StatusCode, body.n)
		}
	}
}

type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

func TestClientGoesAway(t *testing.T) {
	p := newPlatform(t)
	begun, ended := make(chan struct{}), make(chan struct{})
	p.one(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
		}
		close(begun)
		<-r.Context().Done()
		close(ended)
	})
	for _, path := range []string{"/", "/stream"} {
		begun, ended = make(chan struct{}), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = p.do(p.request(http.MethodGet, hello, path, nil).WithContext(ctx)) }()
		<-begun
		cancel()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the container's request goes on", path)
		}
	}
}

func TestProbes(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1")
	p.route("hello", "v1=100") // at zero: nothing is started for a probe
	for probe, want := range map[string]answer{
		"queue": {status: 200, body: "queue"}, "activator": {status: 200, body: "activator"}, "probe": {status: 200}, "else": {status: 400, body: `unexpected probe header value: "else"`},
	} {
		req := p.request(http.MethodGet, hello, "/healthz", nil)
		req.Header.Set("K-Network-Probe", probe)
		req.Header.Set("K-Network-Hash", "abc")
		got, err := p.do(req)
		if err != nil || got.status != want.status || got.body != want.body || probe == "probe" && got.header.Get("K-Network-Hash") != "abc" {
			t.Errorf("%s: %+v, %v", probe, got, err)
		}
	}
	if n := p.activations("v1"); n > 0 {
		t.Errorf("%d activations", n)
	}
}

func TestTrailersOfRequests(t *testing.T) {
	p := newPlatform(t)
	read := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", body, r.Trailer.Get("X-Sum"))
	}
	p.one(read)
	p.revision("v2", h2c)
	p.pod("v2", read)
	p.route("two", "v2=100")
	for name, client := range map[string]*http.Client{"HTTP/1.1": p.client, "HTTP/2": h2client()} {
		for _, host := range []string{hello, "two.default.localhost"} {
			body := &summed{Reader: strings.NewReader("body")}
			req := p.request(http.MethodPost, host, "/", body)
			req.Trailer = http.Header{"X-Sum": nil}
			body.trailer = req.Trailer
			response, err := client.Do(req)
			if err != nil {
				t.Fatal(name, host, err)
			}
			got, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if string(got) != "body sum" {
				t.Errorf("%s %s: %q", name, host, got)
			}
		}
	}
}

// summed sets a trailer at the end of a body.
type summed struct {
	io.Reader
	trailer http.Header
}

func (s *summed) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err != nil {
		s.trailer.Set("X-Sum", "sum")
	}
	return n, err
}

// An answer that comes before the body has been read is passed on, whatever
// becomes of the rest of the body.
func TestEarlyRefusal(t *testing.T) {
	p := newPlatform(t)
	p.one(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})
	answered := 0
	defer func() {
		if answered == 0 && !t.Failed() {
			t.Error("no answer came through")
		}
	}()
	for range 20 {
		got, err := p.do(p.request(http.MethodPost, hello, "/", bytes.NewReader(make([]byte, 8<<20))))
		if errors.Is(err, net.ErrClosed) {
			continue // the client closed its connection when the answer came, and its own write fails for that
		}
		answered++
		if err != nil || got.status != http.StatusRequestEntityTooLarge || got.body != "too large" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

// A host with a port is no token of RFC 7239.
func TestForwardedIsWellFormed(t *testing.T) {
	for _, c := range []struct{ clients, host, want string }{
		{"127.0.0.1", "hello.example", "for=127.0.0.1;host=hello.example;proto=http"},
		{"127.0.0.1", "hello.example:7080", `for=127.0.0.1;host="hello.example:7080";proto=http`},
		{"fd00::1, 10.0.0.1", "[::1]:80", `for="[fd00::1]";host="[::1]:80";proto=http, for=10.0.0.1`},
	} {
		if got := forwarded(c.clients, c.host, "http"); got != c.want {
			t.Errorf("%s at %s: %s, want %s", c.clients, c.host, got, c.want)
		}
	}
}

// A port that has a name alone is the usual one.
func TestPortWithANameAlone(t *testing.T) {
	for name, h2c := range map[string]bool{"h2c": true, "http1": false, "": false} {
		revision := &servingv1.Revision{Spec: servingv1.RevisionSpec{PodSpec: corev1.PodSpec{
			Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: name}}}, {}},
		}}}
		if l := limitsOf(revision); l.port != 8080 || l.h2c != h2c {
			t.Errorf("%q: port %d, h2c %t", name, l.port, l.h2c)
		}
	}
}
