package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/internal/loopback"
)

// errRefusedTarget is a place that a registry sent us to and we will not go.
var errRefusedTarget = errors.New("refused to follow the registry")

// reach is how far inside an address lies.
type reach int

const (
	public  reach = iota
	private       // a company's network
	local         // this machine, and what only its own link reaches
)

// reachOf classifies an address. IPv4 addresses hide in IPv6 ones of three kinds.
func reachOf(ip netip.Addr) reach {
	ip = ip.Unmap().WithZone("")
	if raw := ip.As16(); ip.Is6() {
		switch {
		case netip.MustParsePrefix("64:ff9b::/96").Contains(ip): // NAT64
			return reachOf(netip.AddrFrom4([4]byte(raw[12:16])))
		case netip.MustParsePrefix("2002::/16").Contains(ip): // 6to4
			return reachOf(netip.AddrFrom4([4]byte(raw[2:6])))
		}
	}
	switch {
	case !ip.IsValid(), ip.IsLoopback(), ip.IsUnspecified(), ip.IsLinkLocalUnicast(), ip.IsMulticast(), inPrefix(ip, "0.0.0.0/8", "240.0.0.0/4", "fec0::/10"):
		return local
	// Carriers' and clouds' own networks (one has its metadata there), and those for tests.
	case ip.IsPrivate(), inPrefix(ip, "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "64:ff9b:1::/48"):
		return private
	}
	return public
}

func inPrefix(ip netip.Addr, prefixes ...string) bool {
	for _, p := range prefixes {
		if netip.MustParsePrefix(p).Contains(ip) {
			return true
		}
	}
	return false
}

// origin is the key of the registry that a request is made for.
type origin struct{}

// withOrigin says that requests with ctx are made for the registry at host, which
// the user named. Wherever they go instead, that registry has sent them.
func withOrigin(ctx context.Context, host string) context.Context {
	return context.WithValue(ctx, origin{}, host)
}

func originOf(ctx context.Context) string {
	host, _ := ctx.Value(origin{}).(string)
	return host
}

// guard is the one way out to registries. A request to where the user's registry
// is goes to any address. One to where that registry has sent us goes to addresses
// that are no further inside than the registry's own, and never to this machine.
// What counts is the address that is connected to, so neither a name that stands
// for another address nor a DNS answer that has changed makes a difference.
//
// Each kind has connections of its own: one that was made for the user's registry
// must not be taken by a request that another registry has sent there.
type guard struct {
	named     http.RoundTripper
	sent      map[reach]http.RoundTripper // by how far inside they may go
	trusts    func(host string) bool      // named by the user
	proxied   func(*url.URL) bool
	addresses *addresses
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	from := originOf(req.Context())
	if g.isNamed(from, req.URL) || g.proxied(req.URL) {
		// A proxy looks names up itself, and decides itself whom it serves.
		return g.named.RoundTrip(req)
	}
	return g.sent[g.addresses.of(from)].RoundTrip(req)
}

func (g *guard) isNamed(from string, to *url.URL) bool {
	return sameHost(from, to) || g.trusts(to.Host) || g.trusts(to.Hostname())
}

// CloseIdleConnections is what http.Client looks for.
func (g *guard) CloseIdleConnections() {
	all := []http.RoundTripper{g.named}
	for _, rt := range g.sent {
		all = append(all, rt)
	}
	for _, rt := range all {
		if closer, ok := rt.(interface{ CloseIdleConnections() }); ok {
			closer.CloseIdleConnections()
		}
	}
}

// addresses remembers how far inside the registries are that were connected to.
type addresses struct {
	mu    sync.Mutex
	known map[string]reach // by host:port
}

// of says how far inside what a registry sends us to may be. It is public for one
// that nothing is known of, and a registry on this machine is no reason to go
// anywhere else on it.
func (a *addresses) of(host string) reach {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, address := range []string{host, withPort(host, "443"), withPort(host, "80")} {
		if r, ok := a.known[address]; ok {
			return min(r, private)
		}
	}
	return public
}

// dial connects for the user's registries. A name that has stood for an address
// outside does not come to stand for one further inside.
func (a *addresses) dial(routes map[string]string) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		a.mu.Lock()
		limit, known := a.known[address]
		a.mu.Unlock()
		if !known {
			limit = local
		}
		to := address
		if routes[address] != "" {
			to, limit = routes[address], local
		}
		conn, err := dialWithin(ctx, network, to, limit)
		if err != nil {
			return nil, err
		}
		if remote, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil && !known {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.known[address] = reachOf(remote.Addr())
		}
		return conn, nil
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialWithin connects to an address no further inside than limit. It is looked at
// when the name has been resolved, right before the connection is made.
func dialWithin(ctx context.Context, network, address string, limit reach) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 20 * time.Second, KeepAlive: 30 * time.Second}
	dialer.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(resolved)
		if err != nil || reachOf(at.Addr()) > limit {
			return fmt.Errorf("%w to %s: its address %s is private", errRefusedTarget, address, resolved)
		}
		return nil
	}
	return dialer.DialContext(ctx, network, address)
}

// checkTarget guards where a registry may send us, by redirect, Location or token
// realm, as far as the URL tells: not into the clear, not to a private address,
// not with a password that somebody else has chosen. A hostile registry could
// have a build machine talk to its cloud's metadata service, or to a service of
// its own, otherwise. What the name stands for is checked when it is dialled.
func (c *Client) checkTarget(from string, to *url.URL) error {
	named := sameHost(from, to) || c.plain[to.Host] || c.plain[to.Hostname()]
	switch {
	case to.User != nil:
		return fmt.Errorf("%w from %s to %s: the address has a name and password in it", errRefusedTarget, from, redact(to))
	case to.Scheme != "https" && (to.Scheme != "http" || !named || !c.plainAllowed(to.Host)):
		return fmt.Errorf("%w from %s to %s: only https is accepted there", errRefusedTarget, from, redact(to))
	case named:
		return nil
	case isLocalName(to.Hostname()):
		return fmt.Errorf("%w from %s to this machine (%s)", errRefusedTarget, from, to.Host)
	}
	if ip, err := netip.ParseAddr(to.Hostname()); err == nil && reachOf(ip) != public && (reachOf(ip) == local || to.Hostname() != loopback.Hostname(from)) {
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
	from := originOf(req.Context())
	if from == "" {
		from = first
	}
	if err := c.checkTarget(from, req.URL); err != nil {
		return err
	}
	// Where we come from may have an upload's secrets in its query.
	req.Header.Del("Referer")
	if req.URL.Host != first || req.URL.Scheme != via[0].URL.Scheme {
		req.Header.Del("Authorization")
	}
	return nil
}

// sameHost reports whether to is at the host and port of from, which has a port
// where it is not the scheme's own. All names of this machine are one.
func sameHost(from string, to *url.URL) bool {
	if from == "" {
		return false
	}
	name, port := strings.ToLower(loopback.Hostname(from)), portOf(from)
	toName, toPort := strings.ToLower(to.Hostname()), to.Port()
	if name != toName && !(isLocalName(name) && isLocalName(toName)) {
		return false
	}
	own := map[string]string{"https": "443", "http": "80"}[to.Scheme]
	if toPort == "" {
		toPort = own
	}
	return port == toPort || port == "" && toPort == own
}

// isLocalName reports whether a host is this machine by its name or its number.
func isLocalName(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && (ip.Unmap().IsLoopback() || ip.IsUnspecified())
}

func portOf(host string) string {
	if _, port, err := net.SplitHostPort(host); err == nil {
		return port
	}
	return ""
}

func withPort(host, port string) string { return net.JoinHostPort(loopback.Hostname(host), port) }
