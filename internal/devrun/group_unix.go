//go:build unix

package devrun

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a command the leader of a process group of its own: a signal
// reaches all that it starts, and none from the terminal passes kn-lite by.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
}

// terminateGroup asks the group to end. One that is gone is no error.
func terminateGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// killGroup ends the group.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
