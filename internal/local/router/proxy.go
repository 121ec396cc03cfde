package router

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
)

const (
	// retries is how often a request is sent again because an instance broke off.
	retries = 1
	// dialTime is how long instances that refuse connections are tried.
	dialTime = 10 * time.Second
)

func newProxy(logger *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:    rewrite,
		Transport:  transport{},
		BufferPool: &buffers{},
		ErrorLog:   slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
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
	out.Trailer = in.Trailer           // the server fills this map at the end of the body
	client, _, _ := net.SplitHostPort(in.RemoteAddr)
	if before := in.Header.Values("X-Forwarded-For"); len(before) > 0 {
		client = strings.Join(before, ", ") + ", " + client
	}
	set := func(name string, value func() string) {
		if have := in.Header.Get(name); have != "" {
			out.Header[name] = []string{have}
		} else {
			out.Header[name] = []string{value()}
		}
	}
	out.Header["X-Forwarded-For"] = []string{client}
	set("X-Forwarded-Proto", func() string { return "http" })
	set("X-Forwarded-Host", func() string { return in.Host })
	set("Forwarded", func() string {
		return forwarded(client, out.Header.Get("X-Forwarded-Host"), out.Header.Get("X-Forwarded-Proto"))
	})
	set("X-Request-Id", func() string { return string(uuid.NewUUID()) })
}

// forwarded is RFC 7239's form of the X-Forwarded headers.
func forwarded(clients, host, proto string) string {
	first, rest, more := strings.Cut(clients, ",")
	if strings.Contains(host, ":") {
		host = `"` + host + `"` // a port makes it more than a token
	}
	value := "for=" + node(first) + ";host=" + host + ";proto=" + proto
	for more {
		first, rest, more = strings.Cut(rest, ",")
		value += ", for=" + node(first)
	}
	return value
}

// node is an address as Forwarded wants it: quoted and bracketed for IPv6.
func node(address string) string {
	address = strings.TrimSpace(address)
	if strings.Contains(address, ":") {
		return `"[` + address + `]"`
	}
	return address
}

// transport sends a request to an instance, and to another one where that is safe.
type transport struct{}

func (transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := exchangeOf(req)
	body, again := req.Body, attempts{}
	for {
		p, err := x.revision.acquire(req.Context(), again.failed)
		if err != nil {
			return nil, err
		}
		x.pod = p
		guarded := &guardedBody{body: body}
		if body != nil && body != http.NoBody {
			req.Body = guarded
		}
		response, err := p.roundTrip(req, &x.sent)
		if err == nil {
			return response, nil
		}
		if !again.allow(req, x, err) || req.Context().Err() != nil || !guarded.revoke() {
			return nil, err
		}
		x.giveBack()
	}
}

// attempts is what happened to a request so far.
type attempts struct {
	failed   *pod      // the last one
	broken   int       // how often an instance broke off before it answered
	refusing time.Time // since when connections are refused
}

// allow reports whether a request may be sent once more. A refused connection did
// nothing. One that broke off may have, which only some requests bear; and it may be
// the request that has ended the instance: it gets one more, if there is one.
func (a *attempts) allow(req *http.Request, x *exchange, err error) bool {
	a.failed = x.pod
	// The transport repeats by itself what was sent on a connection that had idled.
	if errors.As(err, new(*dialError)) && !x.sent.Load() {
		if a.refusing.IsZero() {
			a.refusing = time.Now()
		}
		x.pod.pause()
		return time.Since(a.refusing) < dialTime
	}
	a.broken++
	return a.broken <= retries && idempotent(req) && x.revision.hasOther(x.pod)
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
