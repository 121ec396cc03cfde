package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// maxProcesses ends a fork bomb before it ends the machine.
const maxProcesses = 4096

func (o *order) processes() int { return cmp.Or(o.Processes, maxProcesses) }

// command runs the program and returns its exit code. prepare runs before: / is the
// root then, with nothing mounted in it. This process is the first
// one of its pid namespace: when it ends, the kernel ends all others.
func (o *order) command(out io.Writer, prepare func() error) (int, error) {
	c := o.Command
	before := func() error { return errors.Join(o.system(), o.gather()) }
	after := func() error {
		if err := prepare(); err != nil {
			return err
		}
		return o.place()
	}
	if err := o.enter(before, after); err != nil {
		return 0, err
	}
	if c.Isolated {
		if err := loopback(); err != nil {
			return 0, err
		}
	}
	p, err := o.program()
	if err != nil {
		return 0, err
	}
	if err := scopeSockets(); err != nil {
		return 0, err
	}
	if err := o.confine(); err != nil {
		return 0, err
	}
	cmd := &exec.Cmd{Path: p.path, Args: c.Args, Env: p.env, Dir: c.Dir, Stdout: out, Stderr: out}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.credential}
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, p.explain(err)
}

// program is what to run, and as whom.
type program struct {
	path       string
	env        []string
	credential *syscall.Credential // nil where there is one user only
}

// program looks up the user and the file of the command, in what is / by now.
func (o *order) program() (p program, err error) {
	c := o.Command
	who, err := LookupUser(c.User)
	if err != nil {
		return p, err
	}
	who.Groups = append(who.Groups, o.Groups...)
	if err := o.giveOutput(who); err != nil {
		return p, err
	}
	p.env = c.Env
	if lookup(p.env, "HOME") == "" {
		p.env = append(p.env, "HOME="+who.Home)
	}
	// os/exec looks for the program in this process's PATH.
	if p.path, err = findProgram(c.Args[0], lookup(p.env, "PATH"), c.Dir); err != nil {
		return p, err
	}
	if !o.Single {
		p.credential = &syscall.Credential{Uid: who.UID, Gid: who.GID, Groups: who.Groups}
	}
	return p, nil
}

// explain says why the program did not start.
func (p program) explain(err error) error {
	if errors.Is(err, syscall.ENOEXEC) {
		return fault.New(fault.Build, "sandbox.run", "", "%s: not a program of this machine's architecture, or a script with no #! line", p.path)
	}
	if err != nil {
		return fault.New(fault.Build, "sandbox.run", "", "%w", err)
	}
	return nil
}

// confine limits this thread and what it will start.
func (o *order) confine() error {
	limit := &unix.Rlimit{Cur: uint64(o.processes()), Max: uint64(o.processes())}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, limit); err != nil {
		return fmt.Errorf("limit processes: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no core files: %w", err)
	}
	if err := filter(o.Single); err != nil {
		return err
	}
	return dropCapabilities()
}

// giveOutput checks that there is such a user here, and makes standard output and
// error theirs: programs open /dev/stderr again, by name.
func (o *order) giveOutput(who User) error {
	if o.Single {
		return nil
	}
	for _, id := range append([]uint32{who.UID, who.GID}, who.Groups...) {
		if int64(id) > o.Highest {
			return fault.New(fault.Build, "sandbox.user", "", "id %d: the highest in this sandbox is %d; root has those up to %d, other users as many as /etc/subuid and /etc/subgid give them", id, o.Highest, highestID)
		}
	}
	for _, fd := range []int{1, 2} {
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFIFO {
			continue
		}
		// A pipe that the caller brought may belong to nobody in here.
		_ = unix.Fchown(fd, int(who.UID), int(who.GID))
	}
	return nil
}

func findProgram(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if _, err := os.Stat(name); err != nil {
			return "", fault.New(fault.Build, "sandbox.run", "", "%w", &noProgramError{name, ""})
		}
		return name, nil
	}
	for _, at := range filepath.SplitList(path) {
		if !filepath.IsAbs(at) {
			at = filepath.Join(dir, at)
		}
		file := filepath.Join(at, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fault.New(fault.Build, "sandbox.run", "", "%w", &noProgramError{name, "'s PATH"})
}

// noProgramError is a program that the image has not.
type noProgramError struct{ name, where string }

func (e *noProgramError) Error() string {
	return fmt.Sprintf("%s: there is no such program in the image%s", e.name, e.where)
}

func lookup(env []string, name string) string {
	value := ""
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

// loopback brings up lo, the only device of a new network namespace.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
