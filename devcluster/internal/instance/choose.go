package instance

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
)

// Listeners are the instance's three endpoints on the host.
type Listeners struct {
	Registry, Ingress, API net.Listener
}

// Close closes those that are open.
func (l Listeners) Close() error {
	var errs []error
	for _, x := range []net.Listener{l.Registry, l.Ingress, l.API} {
		if x != nil {
			errs = append(errs, x.Close())
		}
	}
	return errors.Join(errs...)
}

// Listen opens the three ports on one address. A port of zero is chosen by the
// kernel; the ports that it got are returned.
func Listen(address netip.Addr, want Ports) (Listeners, Ports, error) {
	var l Listeners
	got := want
	for _, endpoint := range []struct {
		name string
		port *int
		to   *net.Listener
	}{
		{"registry", &got.Registry, &l.Registry},
		{"ingress", &got.Ingress, &l.Ingress},
		{"api", &got.API, &l.API},
	} {
		listener, err := net.Listen("tcp4", netip.AddrPortFrom(address, uint16(*endpoint.port)).String())
		if err != nil {
			return Listeners{}, want, errors.Join(fmt.Errorf("%s port: %w", endpoint.name, err), l.Close())
		}
		*endpoint.to = listener
		*endpoint.port = listener.Addr().(*net.TCPAddr).Port
	}
	return l, got, nil
}

// Choose opens the ports on the first of the candidates where all three are free.
// Where none is (somebody listens on the same port of every address), it says so.
func Choose(candidates []netip.Addr, want Ports) (netip.Addr, Listeners, Ports, error) {
	var last error
	taken := 0
	for _, a := range candidates {
		l, got, err := Listen(a, want)
		if err == nil {
			return a, l, got, nil
		}
		last = err
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		taken++
	}
	return netip.Addr{}, Listeners{}, want, &fault.Error{
		Op: "choose an address", Err: last,
		Hint: fmt.Sprintf("another program holds the port on %d of %d addresses tried; name free ones with\n"+
			"--registry-port, --ingress-port and --api-port (0 takes any), or leave --address away", taken, len(candidates)),
	}
}
