//go:build unix

package local

import (
	"os/exec"
	"syscall"
)

// detach makes cmd outlive the terminal and whoever starts it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
