package sandbox

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// usualCapabilities is the set that containers usually have.
func usualCapabilities() []uintptr {
	return []uintptr{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID, unix.CAP_SETUID,
		unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW, unix.CAP_SYS_CHROOT, unix.CAP_MKNOD, unix.CAP_AUDIT_WRITE,
		unix.CAP_SETFCAP,
	}
}

// setupCapabilities is what this program itself needs inside besides.
func setupCapabilities() []uintptr {
	return append(usualCapabilities(), unix.CAP_DAC_READ_SEARCH, unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN, unix.CAP_SYS_RESOURCE)
}

// dropCapabilities leaves the usual set. They hold in the user namespace only;
// fewer of them mean less of the kernel to attack, and no way to undo the mounts.
func dropCapabilities() error {
	keep := usualCapabilities()
	for c := uintptr(0); c <= 63; c++ {
		if slices.Contains(keep, c) {
			continue
		}
		// EINVAL is the end of what this kernel knows.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err == unix.EINVAL {
			break
		} else if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	// What is inheritable would reach programs of every user by their file
	// capabilities (CVE-2022-29162).
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for i := range data {
		data[i].Inheritable = 0
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("give up inheritable capabilities: %w", err)
	}
	return nil
}

// filter installs a seccomp filter on this thread and what it will start.
func filter(single bool) error {
	prog := filterProgram(single)
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	// This process has CAP_SYS_ADMIN here, so that no_new_privs stays off and
	// setuid programs of the image work.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, 1 /* SECCOMP_SET_MODE_FILTER */, 0, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// filterProgram returns the rules for calls, as the kernel runs them.
//
// Refused are calls that reach beyond the namespaces or into code of the kernel
// that builds have no use for. Flushing to disk is answered with success: the
// root is thrown away after the build, and package managers flush after every
// file. With single ids, changes of owner are answered with success too:
// there is nobody to give a file to, and installers insist on trying.
func filterProgram(single bool) []unix.SockFilter {
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 4}, // seccomp_data.arch
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: auditArch, Jt: 1},
		// Another ABI of the same machine (x32, i386) would dodge the list.
		{Code: unix.BPF_RET | unix.BPF_K, K: seccompErrno | uint32(unix.ENOSYS)},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},                  // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 0x40000000, Jf: 1}, // x32
		{Code: unix.BPF_RET | unix.BPF_K, K: seccompErrno | uint32(unix.ENOSYS)},
	}
	add := func(nr uintptr, action uint32) {
		prog = append(prog,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action})
	}
	for _, nr := range refusedCalls() {
		add(nr, seccompErrno|uint32(unix.EPERM))
	}
	// In a user namespace of its own a program has all capabilities, and with them
	// much of the kernel to attack. Of clone3 a filter cannot see the flags: C
	// libraries take clone instead.
	add(unix.SYS_CLONE3, seccompErrno|uint32(unix.ENOSYS))
	for _, nr := range []uintptr{unix.SYS_CLONE, unix.SYS_UNSHARE} {
		prog = append(prog,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jf: 4},
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // the low half of seccomp_data.args[0]
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.CLONE_NEWUSER, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: seccompErrno | uint32(unix.EPERM)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: seccompAllow})
	}
	for _, nr := range []uintptr{unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNC, unix.SYS_SYNCFS, unix.SYS_MSYNC, unix.SYS_SYNC_FILE_RANGE} {
		add(nr, seccompErrno)
	}
	if single {
		for _, nr := range ownerCalls() {
			add(nr, seccompErrno)
		}
	}
	return append(prog, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: seccompAllow})
}

// scopeSockets cuts this thread, and what it will start, off from the abstract
// sockets of other programs, which share the network. Kernels before 6.12 do not
// know how.
func scopeSockets() error {
	ruleset := struct{ files, network, scoped uint64 }{scoped: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&ruleset)), unsafe.Sizeof(ruleset), 0)
	if errno != 0 {
		return nil
	}
	defer unix.Close(int(fd))
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

const (
	seccompErrno = 0x00050000 // SECCOMP_RET_ERRNO; the error is in the low half
	seccompAllow = 0x7fff0000
)

func refusedCalls() []uintptr {
	return []uintptr{
		// Keys are not in any namespace.
		unix.SYS_ADD_KEY, unix.SYS_KEYCTL, unix.SYS_REQUEST_KEY,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP,
		unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_QUOTACTL, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_SYSLOG,
		unix.SYS_ACCT, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX,
	}
}
