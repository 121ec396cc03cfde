package registry

import (
	"errors"
	"syscall"
)

// isRefused knows Winsock's numbers: syscall's POSIX names are never returned.
func isRefused(err error) bool {
	const connRefused, hostUnreachable, netUnreachable = syscall.Errno(10061), syscall.Errno(10065), syscall.Errno(10051)
	return errors.Is(err, connRefused) || errors.Is(err, hostUnreachable) || errors.Is(err, netUnreachable)
}
