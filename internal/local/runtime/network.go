package runtime

import (
	"context"
	"net/netip"
	"strings"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// Network says what containers reach besides their own pod. The zero value is nothing.
type Network struct {
	Open bool // the world, but for what listens on loopback addresses of this machine
	// Router is where functions are, for Open or not. Names of functions,
	// NAME.NAMESPACE.svc.cluster.local and those below Domains, lead to it.
	Router  netip.AddrPort
	Domains []string
	// Port is the platform's for clients: at a loopback address, functions find the
	// router there too, and nothing else that clients do.
	Port uint16
	// Known reports whether there is a function of that name; nil takes every name
	// for one.
	Known func(namespace, name string) bool

	upstreams func() []string // resolvers of this machine, HOST:PORT
}

// routerAddress is the router's for containers: of a range that nobody is given.
func routerAddress() netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, 1}) }

// way returns where a connection leads; an invalid address is the pod's own affair.
func (n *Network) way(to netip.AddrPort) (netip.AddrPort, error) {
	address := to.Addr().Unmap()
	switch {
	case address == routerAddress() && to.Port() == 443 && n.Port != 443:
		return netip.AddrPort{}, syscall.ECONNREFUSED // it speaks no TLS
	case address == routerAddress():
		return n.Router, nil
	case address.IsLoopback() && n.Router.IsValid() && to.Port() == n.Port:
		return n.Router, nil // a function's URL, with a name that stands for this machine
	case address.IsLoopback(), address.IsUnspecified(), address.IsMulticast(), !n.Open:
		return netip.AddrPort{}, nil
	}
	return netip.AddrPortFrom(address, to.Port()), nil
}

// function reports whether a name is for functions, and whether there is one.
func (n *Network) function(name string) (local, known bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for _, domain := range n.Domains {
		if name == domain || strings.HasSuffix(name, "."+domain) {
			return true, n.Router.IsValid()
		}
	}
	for _, suffix := range []string{".svc.cluster.local", ".svc"} {
		short, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		function, namespace, ok := strings.Cut(short, ".")
		ok = ok && !strings.Contains(namespace, ".") && n.Router.IsValid()
		return true, ok && (n.Known == nil || n.Known(namespace, function))
	}
	return strings.HasSuffix(name, ".cluster.local"), false
}

// search are the names that short names are completed with.
func (n *Network) search(namespace string) []string {
	if namespace == "" {
		return nil
	}
	search := []string{namespace + ".svc.cluster.local"}
	if n.Known != nil { // or every name of two parts would be taken for a function
		search = append(search, "svc.cluster.local", "cluster.local")
	}
	return search
}

// connected is a pod with its way out.
type connected struct {
	*sandbox.Pod
	outside *sandbox.Outside
}

// connect gives a pod its way out and its names.
func (r *Runtime) connect(ctx context.Context, p *sandbox.Pod) (*connected, error) {
	n := &r.options.Network
	if !n.Open && !n.Router.IsValid() {
		return &connected{Pod: p}, nil
	}
	outside, err := p.Outside(ctx, n.way)
	if err != nil {
		return nil, err
	}
	return &connected{p, outside}, n.serveNames(ctx, p)
}
