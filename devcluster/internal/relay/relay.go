// Package relay joins a endpoint on the host's loopback with a server in a machine.
//
// The listening sockets are opened on the host and handed to a process that lives in
// the machine's network: what it accepts comes from the host, what it dials goes to
// the machine. So no device, route or firewall rule of the host is needed.
package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// dialTimeout is short: the other end is on the same kernel.
const dialTimeout = 5 * time.Second

// Serve forwards every connection that l accepts to target ("host:port") until ctx
// ends, then closes l and waits for open connections to be cut.
func Serve(ctx context.Context, l net.Listener, target string) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			open.Go(func() { forward(ctx, conn, target) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			// Out of descriptors, or a client that hung up while it was queued: the
			// next one may fare better, but not at once.
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// forward copies both ways. Each direction's end is passed on as a half-close, so
// that a request whose sender has finished still gets its answer.
func forward(ctx context.Context, client net.Conn, target string) {
	defer client.Close()
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		// A reset, not an orderly end, tells the client that nobody is there.
		if tcp, ok := client.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}

func pass(to, from net.Conn) {
	// io.Copy between TCP connections is splice(2) on Linux: no byte enters this process.
	if _, err := io.Copy(to, from); err != nil {
		_, _ = to.Close(), from.Close()
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
