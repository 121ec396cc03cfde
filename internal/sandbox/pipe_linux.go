package sandbox

import (
	"io"
	"os"
	"os/exec"
	"sync"

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

// connectOutput puts pipes that belong to the sandbox's root between cmd and its
// writers. The function that it returns is called when the process and all that
// it has started are gone, and waits until the rest is written.
func (b *Box) connectOutput(cmd *exec.Cmd) (drain func(), err error) {
	type stream struct{ reader, writer *os.File }
	var streams []stream
	var done sync.WaitGroup
	drain = func() {
		for _, s := range streams {
			_ = s.writer.Close()
		}
		done.Wait()
		for _, s := range streams {
			_ = s.reader.Close()
		}
	}
	connect := func(to io.Writer) (io.Writer, error) {
		if _, ok := to.(*os.File); ok || to == nil {
			return to, nil
		}
		reader, writer, err := Pipe()
		if err != nil {
			return nil, err
		}
		streams = append(streams, stream{reader, writer})
		done.Go(func() { _, _ = io.Copy(to, reader) })
		if b.ids.identity == Shifted {
			err = writer.Chown(b.ids.shiftTo, b.ids.shiftTo)
		}
		return writer, err
	}
	out, to := cmd.Stdout, cmd.Stderr
	if cmd.Stdout, err = connect(out); err == nil {
		if cmd.Stderr = cmd.Stdout; to != out {
			cmd.Stderr, err = connect(to)
		}
	}
	if err != nil {
		drain()
	}
	return drain, err
}
