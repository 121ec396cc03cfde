//go:build unix

package cli

import (
	"os"
	"syscall"
)

// hangup is what a program hears when its terminal is closed.
func hangup() os.Signal { return syscall.SIGHUP }
