package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxMessage is the size of a message on a channel.
const maxMessage = 128 << 10

// channel carries messages and open files between this program outside and inside.
// One goroutine may receive, and any number send.
type channel struct {
	conn    *net.UnixConn
	sending sync.Mutex
	buffer  []byte
}

// channelPair makes a channel, and the file that is its other end.
func channelPair() (*channel, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	other := os.NewFile(uintptr(pair[1]), "channel")
	ours, err := openChannel(os.NewFile(uintptr(pair[0]), "channel"))
	if err != nil {
		return nil, nil, errors.Join(err, other.Close())
	}
	return ours, other, nil
}

// openChannel takes over one end of a channel.
func openChannel(file *os.File) (*channel, error) {
	conn, err := net.FileConn(file)
	err = errors.Join(err, file.Close())
	if err != nil {
		return nil, err
	}
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a channel that is %T", conn), conn.Close())
	}
	return &channel{conn: socket}, nil
}

func (c *channel) close() error { return c.conn.Close() }

// send sends a message with open files, which stay the caller's.
func (c *channel) send(message any, files ...int) error {
	raw, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(raw) > maxMessage {
		return fmt.Errorf("a message of %d bytes, the longest is %d", len(raw), maxMessage)
	}
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	_, _, err = c.conn.WriteMsgUnix(raw, rights, nil)
	return err
}

// receive reads a message. The files are the caller's now. The other end has
// closed when the error is io.EOF.
func (c *channel) receive(message any) (files []int, err error) {
	if c.buffer == nil {
		c.buffer = make([]byte, maxMessage)
	}
	var rights [256]byte
	n, got, _, _, err := c.conn.ReadMsgUnix(c.buffer, rights[:])
	if err != nil {
		return nil, err
	}
	if n == 0 && got == 0 {
		return nil, io.EOF
	}
	if got > 0 {
		if files, err = filesOf(rights[:got]); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(c.buffer[:n], message); err != nil {
		closeAll(files)
		return nil, err
	}
	return files, nil
}

func filesOf(rights []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	var files []int
	for _, m := range messages {
		more, err := unix.ParseUnixRights(&m)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		files = append(files, more...)
	}
	return files, nil
}

func closeAll(files []int) {
	for _, fd := range files {
		_ = unix.Close(fd)
	}
}
