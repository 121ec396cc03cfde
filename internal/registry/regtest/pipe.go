package regtest

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
)

// Network is a set of registries that are reached without sockets. All of its
// waiting is on channels, so that a testing/synctest bubble's clock advances
// past it.
type Network struct {
	mu    sync.Mutex
	hosts map[string]*pipeListener
	stop  []func()
}

// NewNetwork makes a network with nobody on it: every connection is refused.
func NewNetwork() *Network { return &Network{hosts: map[string]*pipeListener{}} }

// Add serves h at host:port, in TLS if config is not nil, until Close.
func (n *Network) Add(address string, h http.Handler, config *tls.Config) {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{}), address: address}
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	var serving net.Listener = l
	if config != nil {
		serving = tls.NewListener(l, config)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[address] = l
	n.stop = append(n.stop, func() {
		if s, ok := h.(*Server); ok {
			s.Close()
		}
		_ = server.Close() // the listener is ours and closes without error
	})
	go func() { _ = server.Serve(serving) }() // always http.ErrServerClosed
}

// Transport is a client's way into the network; its idle connections must be
// closed before a bubble ends.
func (n *Network) Transport(config *tls.Config) *http.Transport {
	return &http.Transport{DialContext: n.dial, TLSClientConfig: config}
}

// Close stops all servers.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, stop := range n.stop {
		stop()
	}
}

func (n *Network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.hosts[address]
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	broken := &atomic.Bool{}
	select {
	case l.conns <- &pipeConn{server, broken}:
		return &pipeConn{client, broken}, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeListener struct {
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
	address string
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.address) }

type pipeAddr string

func (a pipeAddr) Network() string { return "pipe" }
func (a pipeAddr) String() string  { return string(a) }

// pipeConn is one end of a net.Pipe that can be reset.
type pipeConn struct {
	net.Conn
	broken *atomic.Bool
}

// Reset closes both ends; the other one reads and writes ECONNRESET.
func (c *pipeConn) Reset() {
	c.broken.Store(true)
	_ = c.Close() // closing a pipe cannot fail
}

func (c *pipeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.resetOr("read", err)
}

func (c *pipeConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.resetOr("write", err)
}

func (c *pipeConn) resetOr(op string, err error) error {
	if err != nil && c.broken.Load() {
		return &net.OpError{Op: op, Net: "pipe", Err: syscall.ECONNRESET}
	}
	return err
}
