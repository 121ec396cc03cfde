package sandbox

import (
	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// diskFull says where there is no space: names inside of a sandbox mean nothing
// to the user.
func (b *Box) diskFull(err *fault.Error) error {
	return err.WithHint("the file system of %s is full; make room there, or set XDG_CACHE_HOME (as root also TMPDIR) to a folder that has some", b.work)
}

// nearlyFull reports whether a program that has failed was probably in want of space.
func (b *Box) nearlyFull() bool {
	var disk unix.Statfs_t
	if err := unix.Statfs(b.work, &disk); err != nil {
		return false
	}
	return disk.Bavail*uint64(disk.Bsize) < 1<<20 || disk.Files > 0 && disk.Ffree == 0
}
