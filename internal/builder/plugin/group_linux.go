package plugin

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// canMark says that processes are found by their environment.
const canMark = true

// endWithParent makes the system kill the program when kn-lite is killed.
func endWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGKILL }

// marked finds the processes of the program's group, and those that have its mark in
// their environment: what a plugin starts inherits it, in a session of its own too.
func (p *process) marked() []other {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	mark := []byte(cookie + "=" + p.mark)
	var out []other
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		name, state, group := status(dir)
		if state == "Z" || state == "X" || state == "" {
			continue // it has ended
		}
		if group != p.cmd.Process.Pid {
			environ, err := os.ReadFile(filepath.Join(dir, "environ"))
			if err != nil || !bytes.Contains(environ, mark) {
				continue
			}
		}
		out = append(out, other{pid: pid, name: name})
	}
	return out
}

// status reads name, state and process group of a process; the name may have
// anything in it but ends at the last bracket.
func status(dir string) (name, state string, group int) {
	raw, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return "", "", 0
	}
	from, to := bytes.IndexByte(raw, '('), bytes.LastIndexByte(raw, ')')
	if from < 0 || to < from {
		return "", "", 0
	}
	fields := bytes.Fields(raw[to+1:])
	if len(fields) < 3 {
		return "", "", 0
	}
	group, _ = strconv.Atoi(string(fields[2]))
	return string(raw[from+1 : to]), string(fields[0]), group
}
