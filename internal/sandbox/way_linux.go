package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// patience is how long a program that does not want to wait for a connection does:
// then it has one whose other end is not there yet.
const patience = 250 * time.Millisecond

// dialLimit is how long the way to an address may take.
const dialLimit = 2 * time.Minute

// notifyConnects makes connect() of this thread, and of what it will start, a
// question to whoever has the descriptor.
func notifyConnects() (int, error) {
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 4}, // seccomp_data.arch
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: auditArch, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CONNECT, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: seccompAllow},
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	// Once a question was read, only a deadly signal takes it back (Linux 5.19):
	// programs that use signals would ask again and again.
	for _, flags := range []uintptr{unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER} {
		fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, 1 /* SECCOMP_SET_MODE_FILTER */, flags, uintptr(unsafe.Pointer(&fprog)))
		if errno == 0 {
			return int(fd), nil
		}
		if errno != unix.EINVAL {
			return -1, fmt.Errorf("seccomp notifications: %w", errno)
		}
	}
	return -1, fmt.Errorf("seccomp notifications: %w (needs Linux 5.6)", unix.EINVAL)
}

// question is the kernel's struct seccomp_notif.
type question struct {
	ID    uint64
	PID   uint32
	Flags uint32
	Nr    int32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

// reply is the kernel's struct seccomp_notif_resp.
type reply struct {
	ID    uint64
	Value int64
	Error int32
	Flags uint32
}

// questions are the connects of a container's programs.
type questions struct {
	file *os.File
	raw  syscall.RawConn
	out  *Outside
}

func newQuestions(fd int, out *Outside) (*questions, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	q := &questions{file: os.NewFile(uintptr(fd), "connects"), out: out}
	var err error
	q.raw, err = q.file.SyscallConn()
	return q, err
}

// serve answers until no program is left, or file is closed.
func (q *questions) serve() {
	for {
		asked, over := &question{}, false
		err := q.raw.Read(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if n, err := unix.Poll(poll, 0); err != nil || n == 0 {
				return false
			}
			if poll[0].Revents&unix.POLLIN == 0 {
				over = true
				return true
			}
			*asked = question{}
			if err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(asked)); err != nil {
				asked = nil // it was killed meanwhile
			}
			return true
		})
		if err != nil || over {
			return
		}
		if asked != nil {
			go q.answer(asked)
		}
	}
}

func ioctl(fd, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

func (q *questions) answer(asked *question) {
	r := &reply{ID: asked.ID}
	err := q.connect(asked)
	errno := syscall.Errno(0)
	switch {
	case errors.Is(err, errOwn):
		// The kernel does it, in the pod's network, from where nothing else is reached.
		r.Flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	case errors.As(err, &errno):
		r.Error = -int32(errno)
	case err != nil:
		r.Error = -int32(unix.ENETUNREACH)
	}
	// A program that was killed does not hear it.
	_ = q.raw.Control(func(fd uintptr) { _ = ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(r)) })
}

// errOwn is for addresses that are none of ours.
var errOwn = errors.New("the address is the pod's own")

// connect makes the connection that a program wants: to a listener of ours in its
// own network, which passes on what comes. The program never has a socket of the
// host's network.
func (q *questions) connect(asked *question) error {
	to, ok := q.address(asked)
	if !ok || q.out.Way == nil {
		return errOwn
	}
	target, err := q.out.Way(to)
	if err != nil {
		return err
	}
	if !target.IsValid() {
		return errOwn
	}
	socket, err := takeSocket(int(asked.PID), int(asked.Args[0]))
	if err != nil {
		return errOwn
	}
	defer unix.Close(socket.fd)
	// Who has asked may be dead, and another process have its number.
	if !q.stands(asked) {
		return unix.EINTR
	}
	if !socket.tcp {
		return errOwn
	}
	if !socket.fresh {
		return q.out.join(socket.fd, socket.domain) // the kernel says what it thinks of asking twice
	}
	f := newFuture(target)
	if err := f.wait(socket.nonblocking); err != nil {
		return err
	}
	err = q.out.join(socket.fd, socket.domain)
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		f.abandon()
		return err
	}
	name, nameErr := unix.Getsockname(socket.fd)
	if nameErr != nil {
		f.abandon()
		return nameErr
	}
	q.out.expect(portOf(name), f)
	return err
}

// stands reports whether whoever has asked still waits.
func (q *questions) stands(asked *question) bool {
	id, err := asked.ID, error(nil)
	controlErr := q.raw.Control(func(fd uintptr) { err = ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) })
	return err == nil && controlErr == nil
}

// address reads what a program wants to connect to. It is not ok for other families.
func (q *questions) address(asked *question) (netip.AddrPort, bool) {
	var raw [28]byte
	length := min(asked.Args[2], uint64(len(raw)))
	local := []unix.Iovec{{Base: &raw[0]}}
	local[0].SetLen(int(length))
	remote := []unix.RemoteIovec{{Base: uintptr(asked.Args[1]), Len: int(length)}}
	n, err := unix.ProcessVMReadv(int(asked.PID), local, remote, 0)
	if err != nil || n < 8 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(raw[2:])
	switch family := binary.NativeEndian.Uint16(raw[:]); {
	case family == unix.AF_INET && n >= 16:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[4:8])), port), true
	case family == unix.AF_INET6 && n >= 24:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(raw[8:24])).Unmap(), port), true
	}
	return netip.AddrPort{}, false
}

// taken is a copy of a program's socket.
type taken struct {
	fd, domain              int
	tcp, nonblocking, fresh bool
}

func takeSocket(thread, number int) (s taken, err error) {
	process, err := leaderOf(thread)
	if err != nil {
		return s, err
	}
	pidfd, err := unix.PidfdOpen(process, 0)
	if err != nil {
		return s, err
	}
	defer unix.Close(pidfd)
	if s.fd, err = unix.PidfdGetfd(pidfd, number, 0); err != nil {
		return s, err
	}
	kind, err1 := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TYPE)
	protocol, err2 := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	domain, err3 := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	flags, err4 := unix.FcntlInt(uintptr(s.fd), unix.F_GETFL, 0)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return s, errors.Join(err, unix.Close(s.fd))
	}
	s.domain, s.tcp, s.nonblocking = domain, kind == unix.SOCK_STREAM && protocol == unix.IPPROTO_TCP, flags&unix.O_NONBLOCK != 0
	if s.tcp {
		info, err := unix.GetsockoptTCPInfo(s.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		s.fresh = err == nil && info.State == 7 // TCP_CLOSE
	}
	return s, nil
}

// leaderOf returns the process of a thread.
func leaderOf(thread int) (int, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(thread) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if text, ok := strings.CutPrefix(line, "Tgid:"); ok {
			return strconv.Atoi(strings.TrimSpace(text))
		}
	}
	return 0, unix.ESRCH
}

func portOf(name unix.Sockaddr) uint16 {
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return uint16(name.Port)
	case *unix.SockaddrInet6:
		return uint16(name.Port)
	}
	return 0
}

// future is a connection of the host that is under way.
type future struct {
	done   chan struct{}
	cancel context.CancelFunc
	conn   net.Conn
	err    error
}

func newFuture(target netip.AddrPort) *future {
	ctx, cancel := context.WithTimeout(context.Background(), dialLimit)
	f := &future{done: make(chan struct{}), cancel: cancel}
	go func() {
		var dialer net.Dialer
		f.conn, f.err = dialer.DialContext(ctx, "tcp", target.String())
		cancel()
		close(f.done)
	}()
	return f
}

// wait waits for the connection, or for a while only.
func (f *future) wait(impatient bool) error {
	limit := dialLimit
	if impatient {
		limit = patience
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-f.done:
		return f.err
	case <-timer.C:
		return nil
	}
}

func (f *future) abandon() {
	f.cancel()
	go func() {
		<-f.done
		if f.conn != nil {
			_ = f.conn.Close()
		}
	}()
}
