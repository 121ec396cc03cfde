package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// newTransport is http.DefaultTransport with the proxy taken from opts.Env,
// the extra authority trusted, and room for parallel uploads to one host.
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
	return withCertificates(&http.Transport{
		Proxy:                 func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
		DialContext:           dialer(opts.Routes),
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   20 * time.Second,
		ExpectContinueTimeout: time.Second,
		TLSClientConfig:       tlsConfig,
	}, opts.Certificates)
}

// dialer connects to an address, or to the one that it stands for in routes.
func dialer(routes map[string]string) func(ctx context.Context, network, address string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if to := routes[address]; to != "" {
			address = to
		}
		return plain.DialContext(ctx, network, address)
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

// plainAllowed tells whether host (host or host:port) may be spoken to without TLS.
func (c *Client) plainAllowed(host string) bool {
	name := hostname(host)
	if c.plain[host] || c.plain[name] || name == "localhost" {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// errRefusedTarget is a place that a registry sent us to and we will not go.
var errRefusedTarget = errors.New("refused to follow the registry")

// checkTarget guards where a registry may send us, by redirect, Location or
// token realm: not from TLS into the clear, and not from the outside to an
// address inside: a hostile registry could have a build machine fetch from its
// cloud's metadata service otherwise.
func (c *Client) checkTarget(from string, to *url.URL) error {
	if to.Scheme != "https" && (to.Scheme != "http" || !c.plainAllowed(to.Host)) {
		return fmt.Errorf("%w from %s to %s: only https is accepted there", errRefusedTarget, from, redact(to))
	}
	if to.Hostname() == hostname(from) || c.plain[to.Host] || c.plain[to.Hostname()] {
		return nil
	}
	if ip := net.ParseIP(to.Hostname()); ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() ||
		ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast()) {
		return fmt.Errorf("%w from %s to the private address %s", errRefusedTarget, from, to.Host)
	}
	return nil
}

// checkRedirect follows few redirects, to safe places, and never carries
// credentials to another host: Go's own rule ignores ports and trusts subdomains.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 8 {
		return errors.New("more than 8 redirects")
	}
	first := via[0].URL.Host
	if err := c.checkTarget(first, req.URL); err != nil {
		return err
	}
	if req.URL.Host != first {
		req.Header.Del("Authorization")
	}
	return nil
}
