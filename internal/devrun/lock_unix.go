//go:build unix

package devrun

import (
	"os"
	"syscall"
)

// locksWork reports whether tryLock says anything.
const locksWork = true

// tryLock locks a file as long as it is open; the system unlocks it when the
// process ends, however it ends.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
