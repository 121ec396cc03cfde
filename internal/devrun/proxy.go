package devrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// headerTimeout ends connections that never finish their request's head.
const headerTimeout = 30 * time.Second

// proxy hands each request to the program that serves now. While the first one
// starts, requests wait.
type proxy struct {
	mu      sync.Mutex
	backend *backend
	refusal string        // why there is none; "" while one is being started
	news    chan struct{} // closed at the next change of the above
}

func newProxy() *proxy { return &proxy{news: make(chan struct{})} }

// use makes b get the requests from now on.
func (p *proxy) use(b *backend) { p.set(b, "") }

// hold lets requests wait for what serves next.
func (p *proxy) hold() { p.set(nil, "") }

// refuse answers all requests with a reason.
func (p *proxy) refuse(why string) { p.set(nil, why) }

func (p *proxy) set(b *backend, refusal string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backend, p.refusal = b, refusal
	close(p.news)
	p.news = make(chan struct{})
}

// acquire returns what serves now, with one more request; nil with the reason when
// nothing does.
func (p *proxy) acquire(ctx context.Context) (*backend, string) {
	for {
		p.mu.Lock()
		b, refusal, news := p.backend, p.refusal, p.news
		if b != nil {
			b.begin()
		}
		p.mu.Unlock()
		if b != nil || refusal != "" {
			return b, refusal
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, "the request was given up"
		}
	}
}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, refusal := p.acquire(r.Context())
	if b == nil {
		http.Error(w, refusal, http.StatusBadGateway)
		return
	}
	// A connection that was switched to another protocol has no end of its own.
	upgraded := r.Header.Get("Upgrade") != ""
	if upgraded {
		b.end()
	} else {
		defer b.end()
	}
	b.proxy.ServeHTTP(w, r)
}

// serve answers at the listeners until stop is called.
func (p *proxy) serve(listeners []net.Listener) (stop func()) {
	server := &http.Server{
		Handler: p, ReadHeaderTimeout: headerTimeout, ErrorLog: log.New(io.Discard, "", 0),
		Protocols: new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			// It ends by Close alone: a listener on this machine does not break.
			_ = server.Serve(l)
		})
	}
	return func() {
		_ = server.Close()
		serving.Wait()
	}
}

// backend is the address of one program.
type backend struct {
	address string
	proxy   *httputil.ReverseProxy
	http1   *http.Transport
	http2   *http.Transport

	mu     sync.Mutex
	active int
	idle   chan struct{} // closed when active is 0; nil while nobody waits
}

// newBackend leads to a program that listens at address.
func newBackend(address string) *backend {
	b := &backend{address: address, http1: transport(false), http2: transport(true)}
	target := &url.URL{Scheme: "http", Host: address}
	b.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// The request arrives as it was sent.
			r.Out.Host, r.Out.URL.Path, r.Out.URL.RawPath, r.Out.URL.RawQuery = r.In.Host, r.In.URL.Path, r.In.URL.RawPath, r.In.URL.RawQuery
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values, ok := r.In.Header[name]; ok {
					r.Out.Header[name] = values
				}
			}
		},
		Transport:     b,
		FlushInterval: -1, // what is streamed arrives at once
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				http.Error(w, fmt.Sprintf("the function did not answer: %v", err), http.StatusBadGateway)
			}
		},
	}
	return b
}

func transport(http2 bool) *http.Transport {
	t := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(!http2)
	t.Protocols.SetUnencryptedHTTP2(http2)
	return t
}

// RoundTrip implements http.RoundTripper: a program hears the protocol that its
// client speaks.
func (b *backend) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ProtoMajor == 2 {
		return b.http2.RoundTrip(r)
	}
	return b.http1.RoundTrip(r)
}

func (b *backend) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active++
}

func (b *backend) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.active--; b.active == 0 && b.idle != nil {
		close(b.idle)
		b.idle = nil
	}
}

// drain waits for the end of the requests under way, for as long as limit.
func (b *backend) drain(ctx context.Context, limit time.Duration) {
	b.mu.Lock()
	idle := make(chan struct{})
	if b.active == 0 {
		close(idle)
	} else {
		b.idle = idle
	}
	b.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	case <-ctx.Done():
	}
	b.http1.CloseIdleConnections()
	b.http2.CloseIdleConnections()
}
