package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/loopback"
)

// newTransport is the guarded way to registries: three transports, by where they
// may connect to.
func newTransport(opts Options) (http.RoundTripper, error) {
	tlsConfig, err := newTLSConfig(opts.CAFile)
	if err != nil {
		return nil, err
	}
	env := func(name string) string {
		if v := opts.Env(name); v != "" {
			return v
		}
		return opts.Env(strings.ToLower(name))
	}
	proxy := (&httpproxy.Config{HTTPProxy: env("HTTP_PROXY"), HTTPSProxy: env("HTTPS_PROXY"), NoProxy: env("NO_PROXY")}).ProxyFunc()
	known := &addresses{known: map[string]reach{}}
	trusted := map[string]bool{}
	for _, host := range opts.Insecure {
		trusted[host] = true
	}
	g := &guard{
		sent: map[reach]http.RoundTripper{}, addresses: known,
		trusts: func(host string) bool { return trusted[host] },
		proxied: func(to *url.URL) bool {
			through, err := proxy(to)
			return err == nil && through != nil
		},
	}
	transport := func(dial dialFunc) (http.RoundTripper, error) {
		return withCertificates(baseTransport(tlsConfig.Clone(), dial, func(r *http.Request) (*url.URL, error) { return proxy(r.URL) }), opts.Certificates)
	}
	if g.named, err = transport(known.dial(opts.Routes)); err != nil {
		return nil, err
	}
	for _, limit := range []reach{public, private} {
		g.sent[limit], err = transport(func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialWithin(ctx, network, address, limit)
		})
		if err != nil {
			return nil, err
		}
	}
	return g, nil
}

// baseTransport is http.DefaultTransport with room for parallel uploads to one host.
func baseTransport(config *tls.Config, dial dialFunc, proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	return &http.Transport{
		Proxy:                 proxy,
		DialContext:           dial,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   20 * time.Second,
		ExpectContinueTimeout: time.Second,
		TLSClientConfig:       config,
	}
}

func newTLSConfig(caFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fault.New(fault.Usage, "registry.ca", caFile, "%w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Usage, "registry.ca", caFile, "there is no certificate in it").
			WithHint("the file must have PEM blocks: -----BEGIN CERTIFICATE-----")
	}
	config.RootCAs = pool
	return config, nil
}

// plainAllowed reports whether host (host or host:port) may be spoken to without TLS.
func (c *Client) plainAllowed(host string) bool {
	name := loopback.Hostname(host)
	return c.plain[host] || c.plain[name] || loopback.IsHost(name)
}
