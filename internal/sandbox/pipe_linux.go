package sandbox

import (
	"os"

	"golang.org/x/sys/unix"
)

// Pipe is os.Pipe with room for a mebibyte, as far as the kernel allows it: two
// processes that hand each other 64 kB at a time mostly wait for their turn.
func Pipe() (reader, writer *os.File, err error) {
	reader, writer, err = os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	connection, err := writer.SyscallConn()
	if err == nil {
		// A user may have used up the room that there is for all pipes.
		err = connection.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) })
	}
	return reader, writer, err
}
