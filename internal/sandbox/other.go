//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Box needs Linux.
type Box struct{}

// ExitError is a Command that ended with something else than 0.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// Open fails: there are no namespaces.
func Open(context.Context, Options) (*Box, error) {
	return nil, fault.New(fault.Conflict, "sandbox.open", "", "a Dockerfile's RUN needs Linux, and this is %s", runtime.GOOS).
		WithHint("have the cluster build it: {Builder} cluster\nor build without a Dockerfile what has a language of its own: {Builder} layers")
}

// LeaveTerminal leaves it as it is: there are no pods.
func LeaveTerminal() {}

// Pipe is os.Pipe.
func Pipe() (reader, writer *os.File, err error) { return os.Pipe() }

// Expect is nobody.
func Expect(string) Identity { return Single }

// HighestID is that of a machine that has a sandbox.
func HighestID(string) int64 { return 1<<31 - 2 }

// Identity is that of nobody.
func (*Box) Identity() (Identity, string) { return Single, "" }

// Home is nowhere.
func (*Box) Home() string { return "" }

// HostIDs are nobody's.
func (*Box) HostIDs(int, int) (uid, gid int, ok bool) { return 0, 0, false }

// Own does nothing.
func (*Box) Own(context.Context, string, fs.FileMode, int, int) error { return nil }

// Root makes nothing.
func (*Box) Root() (string, error) { return "", nil }

// Folder makes nothing.
func (*Box) Folder(string) error { return nil }

// Overlays are not to be had.
func (*Box) Overlays() bool { return false }

// Chains is false.
func (*Box) Chains() bool { return false }

// Remove removes nothing.
func (*Box) Remove(context.Context, string) error { return nil }

// Call does nothing.
func (*Box) Call(context.Context, Call) error { return nil }

// Pod needs Linux.
type Pod struct{}

// Pod fails as Open does.
func (*Box) Pod(context.Context, string) (*Pod, error) { return nil, errors.ErrUnsupported }

// Start starts nothing.
func (*Pod) Start(context.Context, Start) (*Process, error) { return nil, errors.ErrUnsupported }

// Outside needs Linux.
type Outside struct{}

// Outside leads nowhere.
func (*Pod) Outside(context.Context, func(netip.AddrPort) (netip.AddrPort, error)) (*Outside, error) {
	return nil, errors.ErrUnsupported
}

// Listen listens nowhere.
func (*Pod) Listen(context.Context, int) (net.Listener, error) { return nil, errors.ErrUnsupported }

// ListenPacket listens nowhere.
func (*Pod) ListenPacket(context.Context, int) (net.PacketConn, error) {
	return nil, errors.ErrUnsupported
}

// Prepare starts nothing.
func (*Pod) Prepare(context.Context) error { return errors.ErrUnsupported }

// Rename names nothing.
func (*Pod) Rename(context.Context, string) error { return errors.ErrUnsupported }

// Dial connects to nothing.
func (*Pod) Dial(context.Context, int) (net.Conn, error) { return nil, errors.ErrUnsupported }

// Done is never the case.
func (*Pod) Done() <-chan struct{} { return nil }

// Close has nothing to do.
func (*Pod) Close() error { return nil }

// StartPlain starts nothing.
func StartPlain(context.Context, Start) (*Process, error) { return nil, errors.ErrUnsupported }

// Process needs Linux.
type Process struct{}

// Done is never the case.
func (*Process) Done() <-chan struct{} { return nil }

// Exit is that of nothing.
func (*Process) Exit() Exit { return Exit{} }

// Signal reaches nobody.
func (*Process) Signal(syscall.Signal) error { return errors.ErrUnsupported }

// Exec runs nothing.
func (*Process) Exec(context.Context, []string, io.Writer) (int, error) {
	return 0, errors.ErrUnsupported
}

// Close has nothing to do.
func (*Box) Close(context.Context) error { return nil }

// Inside is never the case.
func Inside([]string, io.Reader, io.Writer, map[string]Guest) (int, bool) { return 0, false }
