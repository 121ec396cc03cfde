//go:build unix

package build

import "syscall"

// setUmask sets the umask of the process and returns the former one.
func setUmask(mask int) int { return syscall.Umask(mask) }
