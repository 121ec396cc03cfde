// Package contained runs programs as a container with a default profile does: with
// few capabilities, and with no namespace or mount to be had.
package contained

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// name is the first argument of this program where it confines itself.
const name = "kn-lite-contained"

// Main confines this process and becomes the program that Command was asked for,
// where Command has started it. Tests call it first in their TestMain.
func Main() {
	if len(os.Args) < 3 || os.Args[0] != name {
		return
	}
	err := confine()
	if err == nil {
		err = unix.Exec(os.Args[1], os.Args[2:], os.Environ())
	}
	panic(fmt.Errorf("%s: %w", os.Args[1], err))
}

// Command is a command of a program that runs as in a container.
func Command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{name, program, program}, args...)
	return cmd
}

// capabilities are those of root in a container of docker's.
func capabilities() []uintptr {
	return []uintptr{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW, unix.CAP_SETGID,
		unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
	}
}

// confine takes from this process, and from what it will start, what a container
// does not have.
func confine() error {
	runtime.LockOSThread()
	if err := forbidNamespaces(); err != nil {
		return err
	}
	has := map[uintptr]bool{}
	for _, c := range capabilities() {
		has[c] = true
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if has[c] {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err != nil && !errors.Is(err, unix.EINVAL) && os.Geteuid() == 0 { // a kernel that does not know it
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	return nil
}

// forbidNamespaces installs a filter as container engines have it.
func forbidNamespaces() error {
	const (
		fails  = 0x00050000 // SECCOMP_RET_ERRNO
		allow  = 0x7fff0000
		spaces = unix.CLONE_NEWNS | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	)
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	refuse := func(call uint32, with unix.Errno) {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: fails | uint32(with)})
	}
	for _, call := range []uint32{unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_FSOPEN, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE} {
		refuse(call, unix.EPERM)
	}
	refuse(unix.SYS_CLONE3, unix.ENOSYS) // its flags are in memory; libraries fall back to clone
	program = append(program,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE, Jf: 3},
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // the flags
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: spaces, Jf: 1},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: fails | uint32(unix.EPERM)},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: allow})
	if os.Geteuid() != 0 { // who has no rights may install one only without hope of some
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, 1 /* SECCOMP_SET_MODE_FILTER */, 1 /* for all threads */, uintptr(unsafe.Pointer(&filter))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}
