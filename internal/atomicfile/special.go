package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// mostLinks is how many symbolic links are followed: Linux's own bound.
const mostLinks = 40

// special reports whether file leads to what a rename must not replace: a device, a
// pipe, a socket, or a file that a process has open, which /dev/stdout and /dev/fd/N
// are links to.
func special(file string) bool {
	info, err := os.Stat(file)
	if err != nil || info.IsDir() {
		return false
	}
	return !info.Mode().IsRegular() || isOpenFile(file)
}

// isOpenFile reports whether file is a link into /proc.
func isOpenFile(file string) bool {
	path, err := filepath.Abs(file)
	if err != nil {
		return false
	}
	for range mostLinks {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return false
		}
		if strings.HasPrefix(dir+"/", "/proc/") {
			return true
		}
		target, err := os.Readlink(path)
		if err != nil {
			return false // no link
		}
		if path = target; !filepath.IsAbs(target) {
			path = filepath.Join(dir, target)
		}
	}
	return false
}

// writeInto adds to what stands there.
func writeInto(file string, write func(*os.File) error) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
