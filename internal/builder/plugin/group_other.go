//go:build !unix

package plugin

import "os/exec"

// prepare does nothing: there are no process groups here.
func prepare(*exec.Cmd) {}

// terminate ends the program: it cannot be asked.
func (p *process) terminate() { _ = p.cmd.Process.Kill() }

// kill ends the program.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// others is not to be learned here.
func (p *process) others() []string { return nil }
