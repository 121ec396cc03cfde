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
	"time"
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
	a, b := net.Pipe()
	broken := &atomic.Bool{}
	client, server := newPipeConn(a, b, broken), newPipeConn(b, a, broken)
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		client.Reset()
		server.Reset()
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		client.Reset()
		server.Reset()
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

// pipeConn is one end of a net.Pipe that buffers what is written, as a socket
// does, and can be reset. Without the buffer two ends that write at the same
// time, such as a TLS alert against a handshake, would wait for each other.
type pipeConn struct {
	net.Conn
	peer   net.Conn
	broken *atomic.Bool  // shared by both ends
	queue  chan []byte   // written and not yet read
	closed chan struct{} // this end was closed
	failed chan struct{} // the other end is gone
	once   sync.Once
}

func newPipeConn(raw, peer net.Conn, broken *atomic.Bool) *pipeConn {
	c := &pipeConn{Conn: raw, peer: peer, broken: broken, queue: make(chan []byte, 64), closed: make(chan struct{}), failed: make(chan struct{})}
	go c.pump()
	return c
}

// pump moves what was written to the other end, also after Close.
func (c *pipeConn) pump() {
	defer func() { _ = c.Conn.Close() }() // closing a pipe cannot fail
	for {
		var chunk []byte
		select {
		case chunk = <-c.queue:
		case <-c.closed:
			select {
			case chunk = <-c.queue:
			default:
				return
			}
		}
		if _, err := c.Conn.Write(chunk); err != nil {
			close(c.failed)
			<-c.closed
			return
		}
	}
}

func (c *pipeConn) Write(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case <-c.failed:
		return 0, c.resetOr("write", syscall.EPIPE)
	default:
	}
	select {
	case c.queue <- append([]byte(nil), p...):
		return len(p), nil
	case <-c.closed:
		return 0, net.ErrClosed
	case <-c.failed:
		return 0, c.resetOr("write", syscall.EPIPE)
	}
}

func (c *pipeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	select {
	case <-c.closed:
		if err != nil {
			err = net.ErrClosed
		}
	default:
	}
	return n, c.resetOr("read", err)
}

// Close ends reading at once; what was written still arrives.
func (c *pipeConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		// A pipe takes any deadline. The first wakes a Read here, the second ends
		// the other side's writing to somebody who reads no more.
		_ = c.SetReadDeadline(time.Unix(1, 0))
		_ = c.peer.SetWriteDeadline(time.Unix(1, 0))
	})
	return nil
}

// SetDeadline and SetWriteDeadline: writing goes to the buffer and needs none.
func (c *pipeConn) SetDeadline(t time.Time) error  { return c.SetReadDeadline(t) }
func (*pipeConn) SetWriteDeadline(time.Time) error { return nil }

// Reset closes the connection; the other end reads what was written before and
// then ECONNRESET in place of the end.
func (c *pipeConn) Reset() {
	c.broken.Store(true)
	_ = c.Close() // cannot fail
}

func (c *pipeConn) resetOr(op string, err error) error {
	if err != nil && c.broken.Load() {
		return &net.OpError{Op: op, Net: "pipe", Err: syscall.ECONNRESET}
	}
	return err
}
