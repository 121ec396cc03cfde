// Package regular reads regular files and nothing else. The files of a project
// or an image are somebody else's: a FIFO with the name of a Dockerfile would
// block the program that opens it, out of reach of signals and deadlines, a
// device could be read without an end, and a file without a limit fills memory.
//
// Where a file is there and is not one to be read, the error is a *fault.Error of
// the kind Usage.
package regular

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// MaxSize is how much ReadFile reads. Manifests and lock files of the largest
// projects have a tenth of it.
const MaxSize = 64 << 20

// Open opens the regular file name, or the one that a link of that name leads to.
func Open(name string) (*os.File, error) {
	return open(name, os.Stat, os.OpenFile)
}

// OpenIn opens the regular file name below root. Links that lead out of root are
// errors.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	return open(name, root.Stat, root.OpenFile)
}

// open looks before it opens, since to open a device may do something, and looks
// again, since another file may have taken the name. O_NONBLOCK keeps a FIFO from
// blocking the open; it means nothing to regular files.
func open(name string, stat func(string) (fs.FileInfo, error), openFile func(string, int, fs.FileMode) (*os.File, error)) (*os.File, error) {
	info, err := stat(name)
	if err != nil {
		return nil, err
	}
	if err := Check(name, info.Mode()); err != nil {
		return nil, err
	}
	f, err := openFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err = f.Stat()
	if err == nil {
		err = Check(name, info.Mode())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Check returns an error unless mode is that of a regular file.
func Check(name string, mode fs.FileMode) error {
	if mode.IsRegular() {
		return nil
	}
	return refuse(name, "it is a %s, not a regular file", TypeName(mode))
}

const op = "file.open"

func refuse(name, format string, args ...any) error {
	return fault.New(fault.Usage, op, name, format, args...)
}

// ReadFile returns the content of a regular file of at most MaxSize bytes.
func ReadFile(name string) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	return read(name, f)
}

// ReadFileIn returns the content of the file name below root, as ReadFile does.
func ReadFileIn(root *os.Root, name string) ([]byte, error) {
	f, err := OpenIn(root, name)
	if err != nil {
		return nil, err
	}
	return read(name, f)
}

func read(name string, f *os.File) (_ []byte, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	raw, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(raw) > MaxSize {
		return nil, refuse(name, "it is larger than %d MB", MaxSize>>20)
	}
	return raw, err
}

// TypeName says in a word what a file of this mode is.
func TypeName(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "regular file"
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "FIFO"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "file of unknown type"
}

// Cause returns err, which has to do with one file, without that file's path: for
// errors whose subject is the path.
func Cause(err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Op == op {
		return e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
