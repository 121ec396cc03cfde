package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Outside is the way of a pod's programs to addresses that are not the pod's.
type Outside struct {
	// Way returns the address of the host's network that a TCP connection to an
	// address leads to, or an errno. An invalid one is the pod's own affair.
	Way func(to netip.AddrPort) (netip.AddrPort, error)

	listener net.Listener
	port     int
	mutex    sync.Mutex
	expected map[uint16]chan *future // by the program's port
}

// expectFor is how long the two ends of a connection may take to find each other.
const expectFor = 5 * time.Second

// Outside opens the way out of the pod for programs that are started with it.
func (p *Pod) Outside(ctx context.Context, way func(to netip.AddrPort) (netip.AddrPort, error)) (*Outside, error) {
	listener, err := p.Listen(ctx, 0)
	if err != nil {
		return nil, err
	}
	o := &Outside{Way: way, listener: listener, expected: map[uint16]chan *future{}}
	if address, ok := listener.Addr().(*net.TCPAddr); ok {
		o.port = address.Port
	}
	go o.accept()
	go func() {
		<-p.gone
		_ = listener.Close()
	}()
	return o, nil
}

// join connects a program's socket to the listener.
func (o *Outside) join(fd, domain int) error {
	local := [4]byte{127, 0, 0, 1}
	if domain == unix.AF_INET {
		return unix.Connect(fd, &unix.SockaddrInet4{Port: o.port, Addr: local})
	}
	return unix.Connect(fd, &unix.SockaddrInet6{Port: o.port, Addr: netip.AddrFrom4(local).As16()})
}

func (o *Outside) meet(port uint16) chan *future {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.expected[port] == nil {
		o.expected[port] = make(chan *future, 1)
	}
	return o.expected[port]
}

func (o *Outside) forget(port uint16, meeting chan *future) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.expected[port] == meeting {
		delete(o.expected, port)
	}
}

// expect says what the connection from a port of the pod is for.
func (o *Outside) expect(port uint16, f *future) {
	meeting := o.meet(port)
	select {
	case meeting <- f:
	default: // the port was used again before anybody had come
		f.abandon()
		return
	}
	time.AfterFunc(expectFor, func() {
		select {
		case f := <-meeting:
			f.abandon()
			o.forget(port, meeting)
		default:
		}
	})
}

func (o *Outside) accept() {
	for {
		conn, err := o.listener.Accept()
		if err != nil {
			return
		}
		go o.serve(conn)
	}
}

func (o *Outside) serve(inside net.Conn) {
	defer inside.Close()
	address, ok := inside.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return
	}
	port := uint16(address.Port)
	meeting := o.meet(port)
	defer o.forget(port, meeting)
	timer := time.NewTimer(expectFor)
	defer timer.Stop()
	select {
	case f := <-meeting:
		o.forget(port, meeting)
		<-f.done
		if f.err != nil {
			reset(inside)
			return
		}
		defer f.conn.Close()
		pass(inside, f.conn)
	case <-timer.C: // a program that has found the listener by itself
	}
}

// reset ends a connection as nobody at the other end does.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// pass passes on what comes, in both directions, until both have ended.
func pass(a, b net.Conn) {
	var both sync.WaitGroup
	one := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if err != nil {
			reset(to)
			_ = to.Close()
			return
		}
		if half, ok := to.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	}
	both.Go(func() { one(a, b) })
	both.Go(func() { one(b, a) })
	both.Wait()
}

// Listen listens at a TCP port of the pod's network, on all its addresses; 0 is any.
func (p *Pod) Listen(ctx context.Context, port int) (net.Listener, error) {
	file, err := p.socket(ctx, "tcp", port)
	if err != nil {
		return nil, err
	}
	listener, err := net.FileListener(file)
	return listener, errors.Join(err, file.Close())
}

// ListenPacket is Listen for UDP.
func (p *Pod) ListenPacket(ctx context.Context, port int) (net.PacketConn, error) {
	file, err := p.socket(ctx, "udp", port)
	if err != nil {
		return nil, err
	}
	conn, err := net.FilePacketConn(file)
	return conn, errors.Join(err, file.Close())
}

func (p *Pod) socket(ctx context.Context, network string, port int) (*os.File, error) {
	got, err := p.ask(ctx, podRequest{Listen: network, Port: port}, nil)
	if err == nil && len(got.files) != 1 {
		closeAll(got.files)
		err = errors.New(got.Error)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	return os.NewFile(uintptr(got.files[0]), "listener"), nil
}

// listenAt makes a socket in this process's network.
func listenAt(network string, port int) (int, error) {
	kind := unix.SOCK_STREAM
	if network == "udp" {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	var at unix.Sockaddr = &unix.SockaddrInet6{Port: port}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	} else if errors.Is(err, unix.EAFNOSUPPORT) { // a kernel without IPv6
		fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		at = &unix.SockaddrInet4{Port: port}
	}
	if err == nil {
		err = unix.Bind(fd, at)
	}
	if err == nil && kind == unix.SOCK_STREAM {
		err = unix.Listen(fd, 128)
	}
	if err != nil && fd >= 0 {
		err = errors.Join(err, unix.Close(fd))
	}
	return fd, err
}
