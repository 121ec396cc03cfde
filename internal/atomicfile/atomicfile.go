// Package atomicfile replaces files so that whoever reads one, also after a crash of
// this program, finds the old content or the new one and never a part of either.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// TempPrefix begins the names of files that are not whole yet. A build takes no file
// of such a name for one of the project.
const TempPrefix = ".kn-lite-"

// Options say how a file is written. The zero value is right for what nobody else
// may read and nothing else can replace.
type Options struct {
	// Mode is the file's mode, whatever the umask is; 0 is 0600.
	Mode fs.FileMode
	// Disposable content can be made again: it is not forced to the disk, so that a
	// crash of the machine, though not one of the program, may damage the file.
	Disposable bool
	// FollowLink replaces the target of a symbolic link and leaves the link: people
	// keep their settings in a repository. Else the link is what is replaced.
	FollowLink bool
	// Given is for a path that a person gave: a device, a pipe, or by /dev/stdout the
	// program's own output, is written into and not replaced.
	Given bool
	// ReplaceFolder removes a folder that stands in the file's place.
	ReplaceFolder bool
	// TempPrefix begins the temporary file's name where something that sweeps the
	// folder knows another one; "" is the package's.
	TempPrefix string
}

// Write replaces file with content.
func Write(file string, content []byte, opts Options) error {
	return WriteTo(file, opts, func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// WriteTo replaces file with what write writes.
func WriteTo(file string, opts Options, write func(*os.File) error) error {
	if opts.Given && special(file) {
		return writeInto(file, write)
	}
	if opts.FollowLink {
		if target, err := filepath.EvalSymlinks(file); err == nil {
			file = target
		}
	}
	return Create(filepath.Dir(file), opts, func(f *os.File) (string, error) { return filepath.Base(file), write(f) })
}

// Create makes a file in dir whose name is known only when it is written: write
// returns it. The temporary file is in the same folder, because a rename across file
// systems is no rename; it is removed when anything goes wrong, closing included: a
// full disk may show only then.
func Create(dir string, opts Options, write func(*os.File) (name string, err error)) (err error) {
	prefix := opts.TempPrefix
	if prefix == "" {
		prefix = TempPrefix
	}
	temp, err := os.CreateTemp(dir, prefix+"*")
	if err != nil {
		return err
	}
	closed := false
	defer func() {
		switch {
		case !closed: // write has panicked
			_, _ = temp.Close(), os.Remove(temp.Name()) // the panic says more
		case err != nil:
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	name, err := write(temp)
	if err == nil && opts.Mode != 0 {
		err = temp.Chmod(opts.Mode)
	}
	if err == nil && !opts.Disposable {
		err = temp.Sync()
	}
	closed = true
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	file := filepath.Join(dir, name)
	if opts.ReplaceFolder {
		return Place(temp.Name(), file)
	}
	return os.Rename(temp.Name(), file)
}

// Place gives temp, which is whole, the name file. A folder that stands there goes.
func Place(temp, file string) error {
	err := os.Rename(temp, file)
	if info, statErr := os.Lstat(file); err != nil && statErr == nil && info.IsDir() {
		if err := os.RemoveAll(file); err != nil {
			return err
		}
		return os.Rename(temp, file)
	}
	return err
}
