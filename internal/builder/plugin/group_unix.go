//go:build unix

package plugin

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
)

// prepare makes cmd the leader of a process group of its own: a signal reaches all
// that it starts, and none from the terminal passes kn-lite by.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
}

// terminate asks the program and all that it has started to end.
func (p *process) terminate() { p.signal(syscall.SIGTERM) }

// kill ends them.
func (p *process) kill() { p.signal(syscall.SIGKILL) }

func (p *process) signal(s syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, s)
	for _, o := range p.marked() {
		_ = syscall.Kill(o.pid, s)
	}
}

// others returns what the program has started and what still runs.
func (p *process) others() []string {
	var out []string
	for _, o := range p.marked() {
		out = append(out, fmt.Sprintf("%s (process %d)", o.name, o.pid))
	}
	if out == nil && !canMark && !errors.Is(syscall.Kill(-p.cmd.Process.Pid, 0), syscall.ESRCH) {
		out = append(out, fmt.Sprintf("process group %d", p.cmd.Process.Pid))
	}
	return out
}

// other is a process that belongs to a run.
type other struct {
	pid  int
	name string
}
