//go:build unix

package router

import (
	"errors"
	"syscall"
)

// open reports whether the other end of an idle connection has neither closed it nor
// said anything.
func (c *conn) open() bool {
	of, ok := c.Conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := of.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return open && err == nil
}
