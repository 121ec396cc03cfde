package router

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

const (
	// dialTime is how long instances that refuse connections are tried.
	dialTime = 10 * time.Second
	// flushTime is how long a part of an answer may wait for more. Answers of unknown
	// length, and events, do not wait at all.
	flushTime = 5 * time.Millisecond
)

func newProxy(logger *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     transport{},
		FlushInterval: flushTime,
		BufferPool:    &buffers{},
		ErrorLog:      slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			if x := exchangeOf(req); x != nil {
				x.fail(w, req, err)
			}
		},
	}
}

func exchangeOf(req *http.Request) *exchange {
	x, _ := req.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// rewrite gives a request the headers that a container finds on a cluster.
func rewrite(p *httputil.ProxyRequest) {
	in, out := p.In, p.Out
	out.URL.Scheme, out.URL.Host = "http", "instance"
	out.URL.RawQuery = in.URL.RawQuery // as it is: what it means is the container's business
	client, _, _ := net.SplitHostPort(in.RemoteAddr)
	if before := in.Header.Values("X-Forwarded-For"); len(before) > 0 {
		client = strings.Join(before, ", ") + ", " + client
	}
	set := func(name, value string) {
		if have := in.Header.Get(name); have != "" {
			value = have
		}
		out.Header[name] = []string{value}
	}
	out.Header["X-Forwarded-For"] = []string{client}
	set("X-Forwarded-Proto", "http")
	set("X-Forwarded-Host", in.Host)
	set("Forwarded", forwarded(client, out.Header.Get("X-Forwarded-Host"), out.Header.Get("X-Forwarded-Proto")))
	set("X-Request-Id", requestID())
}

// forwarded is RFC 7239's form of the X-Forwarded headers.
func forwarded(clients, host, proto string) string {
	var b strings.Builder
	for i, client := range strings.Split(clients, ",") {
		client = strings.TrimSpace(client)
		if strings.Contains(client, ":") {
			client = `"[` + client + `]"`
		}
		switch i {
		case 0:
			fmt.Fprintf(&b, "for=%s;host=%s;proto=%s", client, host, proto)
		default:
			b.WriteString(", for=" + client)
		}
	}
	return b.String()
}

func requestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// transport sends a request to an instance, and to another one where that is safe.
type transport struct{}

func (transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := exchangeOf(req)
	body := req.Body
	var failed *pod
	broken, refusing := false, time.Time{}
	for {
		p, err := x.revision.acquire(req.Context(), failed)
		if err != nil {
			return nil, err
		}
		x.pod = p
		guarded := &guardedBody{body: body}
		if body != nil && body != http.NoBody {
			req.Body = guarded
		}
		response, err := p.roundTrip(req)
		if err == nil {
			return response, nil
		}
		refused := errors.As(err, new(*dialError))
		if refused && refusing.IsZero() {
			refusing = time.Now()
		}
		again := refused && time.Since(refusing) < dialTime || !refused && !broken && idempotent(req)
		if !again || req.Context().Err() != nil || !guarded.revoke() {
			return nil, err
		}
		if refused {
			p.pause()
		}
		broken = broken || !refused
		failed = p
		x.giveBack()
	}
}

func (x *exchange) giveBack() {
	if x.pod == nil {
		return
	}
	x.revision.mu.Lock()
	defer x.revision.mu.Unlock()
	x.revision.release(x.pod)
	x.pod = nil
}

func (p *pod) roundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Upgrade") != "" {
		return p.upgrades.RoundTrip(req)
	}
	return p.transport.RoundTrip(req)
}

func idempotent(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// guardedBody is a request's body for one attempt. The next attempt may have it
// if this one has read nothing of it.
type guardedBody struct {
	body io.ReadCloser

	mu            sync.Mutex
	used, revoked bool
}

func (b *guardedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.revoked {
		b.mu.Unlock()
		return 0, context.Canceled
	}
	b.used = true
	b.mu.Unlock()
	return b.body.Read(p)
}

// Close leaves the body open: the server closes it, and another attempt may read it.
func (b *guardedBody) Close() error { return nil }

func (b *guardedBody) revoke() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.revoked = true
	return !b.used
}

// buffers are for copying bodies.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
