package registry

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/loopback"
)

// KeyPair is a client certificate: PEM files. Key may be "" when the key is in
// Cert's file too.
type KeyPair struct {
	Cert, Key string
}

// ParseKeyPair reads HOST[:PORT]=CERT[,KEY].
func ParseKeyPair(text string) (host string, pair KeyPair, err error) {
	host, files, found := strings.Cut(text, "=")
	pair.Cert, pair.Key, _ = strings.Cut(files, ",")
	if !found || host == "" || pair.Cert == "" {
		return "", KeyPair{}, fault.Usagef("client certificate %q: not HOST[:PORT]=CERT[,KEY]", text).
			WithHint("for example registry.example=me.crt,me.key")
	}
	host, err = ParseHost(host)
	return host, pair, err
}

// load reads the files, and says which of them is at fault.
func (p KeyPair) load() (tls.Certificate, error) {
	key := p.Key
	if key == "" {
		key = p.Cert
	}
	pair, err := tls.LoadX509KeyPair(p.Cert, key)
	if err == nil {
		return pair, nil
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return pair, fault.New(fault.Usage, "registry.cert", file.Path, "%w", file.Err)
	}
	// What the standard library says names neither the file nor what is in it.
	return pair, fault.New(fault.Usage, "registry.cert", p.Cert, "no client certificate with the key of %s: %w", key, err).
		WithHint("the files must have PEM blocks: CERTIFICATE, and PRIVATE KEY without a password")
}

// withCertificates gives each host that has a client certificate connections of
// its own, so that no other host is ever shown who we are.
func withCertificates(base *http.Transport, pairs map[string]KeyPair) (http.RoundTripper, error) {
	if len(pairs) == 0 {
		return base, nil
	}
	out := &byHost{Transport: base, own: map[string]*http.Transport{}}
	for host, pair := range pairs {
		certificate, err := pair.load()
		if err != nil {
			return nil, err
		}
		own := base.Clone()
		own.TLSClientConfig.Certificates = []tls.Certificate{certificate}
		out.own[host] = own
	}
	return out, nil
}

// byHost chooses the transport by the host that is spoken to, after redirects too.
type byHost struct {
	*http.Transport
	own map[string]*http.Transport // by host or host:port
}

// RoundTrip implements http.RoundTripper.
func (b *byHost) RoundTrip(req *http.Request) (*http.Response, error) {
	for _, host := range []string{req.URL.Host, req.URL.Hostname()} {
		if own := b.own[host]; own != nil {
			return own.RoundTrip(req)
		}
	}
	return b.Transport.RoundTrip(req)
}

// CloseIdleConnections is what http.Client looks for.
func (b *byHost) CloseIdleConnections() {
	b.Transport.CloseIdleConnections()
	for _, own := range b.own {
		own.CloseIdleConnections()
	}
}

// refusedCertificate reports whether the other side ended the handshake over our
// certificate, or for want of one. crypto/tls has no type for a received alert,
// so this is the one place where an error's text has to do.
func refusedCertificate(err error) (missing, refused bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" || !strings.HasPrefix(op.Err.Error(), "tls: ") {
		return false, false
	}
	switch text := strings.TrimPrefix(op.Err.Error(), "tls: "); text {
	case "certificate required":
		return true, true
	case "bad certificate", "unsupported certificate", "revoked certificate", "expired certificate",
		"unknown certificate", "unknown certificate authority", "access denied":
		return false, true
	}
	return false, false
}

func (c *Client) explainRefused(e *fault.Error, host string, missing bool, err error) error {
	e.Kind = fault.Auth
	_, byHost := c.opts.Certificates[host]
	_, byName := c.opts.Certificates[loopback.Hostname(host)]
	if missing || !byHost && !byName {
		e.Err = reason{host + " wants a client certificate", err}
		return e.WithHint("name yours: {Certificates} %s=CERT,KEY, KN_LITE_REGISTRY_CERT or registryCerts in the config file", host)
	}
	e.Err = reason{host + " does not accept the client certificate: " + strings.TrimPrefix(plainAlert(err), "tls: "), err}
	return e.WithHint("has it run out? is it of an authority that the registry trusts?")
}

func plainAlert(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error()
	}
	return err.Error()
}
