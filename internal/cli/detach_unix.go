//go:build unix

package cli

import (
	"os"
	"os/exec"
	"syscall"
)

// detach makes cmd outlive the terminal and whoever starts it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// hangup is what a program hears when its terminal is closed.
func hangup() os.Signal { return syscall.SIGHUP }
