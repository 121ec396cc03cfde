package devrun

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// nextPorts is how many ports after one that is taken are tried.
const nextPorts = 100

// Listen listens on a port of this machine's loopback, as localhost leads there.
// When it is taken, and exact is false, the next one that is free is taken; port 0 is
// any free one.
func Listen(ctx context.Context, port int, exact bool) (listeners []net.Listener, at int, err error) {
	for n := range nextPorts {
		if port+n > 65535 {
			break
		}
		listeners, at, err = listenAt(ctx, port+n)
		if err == nil || exact || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err == nil {
		return listeners, at, nil
	}
	subject := "port " + strconv.Itoa(port)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, 0, fault.New(fault.Conflict, "run.listen", subject, "something listens there already").
			WithHint("stop that, or take another port: {Port} %d; without {Port} the next free one is taken", min(port+1, 65535))
	}
	return nil, 0, fault.New(fault.KindOf(err), "run.listen", subject, "%w", err).WithHint("take another one: {Port} 8080")
}

func listenAt(ctx context.Context, port int) ([]net.Listener, int, error) {
	config := &net.ListenConfig{}
	first, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, 0, err
	}
	address, ok := first.Addr().(*net.TCPAddr)
	if !ok {
		return nil, 0, errors.Join(errors.New("not an address of TCP"), first.Close())
	}
	port = address.Port
	second, err := config.Listen(ctx, "tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
	switch {
	case err == nil:
		return []net.Listener{first, second}, port, nil
	case errors.Is(err, syscall.EADDRINUSE):
		// localhost would lead some of its users elsewhere.
		return nil, 0, errors.Join(err, first.Close())
	}
	return []net.Listener{first}, port, nil // without IPv6
}
