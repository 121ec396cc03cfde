package sandbox

import (
	"testing"

	"golang.org/x/sys/unix"
)

// verdictOf runs a filter as the kernel does, over the words of seccomp_data.
func verdictOf(t *testing.T, prog []unix.SockFilter, arch, call, flags uint32) uint32 {
	t.Helper()
	words := map[uint32]uint32{0: call, 4: arch, 16: flags}
	var a uint32
	for pc := 0; pc < len(prog); pc++ {
		i := prog[pc]
		jump := func(holds bool) {
			if holds {
				pc += int(i.Jt)
			} else {
				pc += int(i.Jf)
			}
		}
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			word, ok := words[i.K]
			if !ok {
				t.Fatalf("the filter reads at %d", i.K)
			}
			a = word
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			jump(a == i.K)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			jump(a >= i.K)
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			jump(a&i.K != 0)
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		default:
			t.Fatalf("the filter has an instruction %#x", i.Code)
		}
	}
	t.Fatal("the filter has no end")
	return 0
}

func TestFilter(t *testing.T) {
	refused := func(e unix.Errno) uint32 { return seccompErrno | uint32(e) }
	const answered = seccompErrno // success, and nothing done
	for name, tt := range map[string]struct {
		call, flags uint32
		single      uint32 // where there is one user only
		many        uint32
	}{
		"read":                  {unix.SYS_READ, 0, seccompAllow, seccompAllow},
		"mount":                 {unix.SYS_MOUNT, 0, seccompAllow, seccompAllow}, // the capability for it is gone
		"keys":                  {unix.SYS_KEYCTL, 0, refused(unix.EPERM), refused(unix.EPERM)},
		"bpf":                   {unix.SYS_BPF, 0, refused(unix.EPERM), refused(unix.EPERM)},
		"io_uring":              {unix.SYS_IO_URING_SETUP, 0, refused(unix.EPERM), refused(unix.EPERM)},
		"files by handle":       {unix.SYS_OPEN_BY_HANDLE_AT, 0, refused(unix.EPERM), refused(unix.EPERM)},
		"a module":              {unix.SYS_FINIT_MODULE, 0, refused(unix.EPERM), refused(unix.EPERM)},
		"the time":              {unix.SYS_CLOCK_SETTIME, 0, refused(unix.EPERM), refused(unix.EPERM)},
		"clone3":                {unix.SYS_CLONE3, 0, refused(unix.ENOSYS), refused(unix.ENOSYS)},
		"a thread":              {unix.SYS_CLONE, unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD, seccompAllow, seccompAllow},
		"a fork":                {unix.SYS_CLONE, uint32(unix.SIGCHLD), seccompAllow, seccompAllow},
		"a user namespace":      {unix.SYS_CLONE, unix.CLONE_NEWUSER | uint32(unix.SIGCHLD), refused(unix.EPERM), refused(unix.EPERM)},
		"one more of them":      {unix.SYS_UNSHARE, unix.CLONE_NEWUSER | unix.CLONE_NEWNS, refused(unix.EPERM), refused(unix.EPERM)},
		"another namespace":     {unix.SYS_UNSHARE, unix.CLONE_NEWNS, seccompAllow, seccompAllow},
		"a flag of another one": {unix.SYS_SETNS, unix.CLONE_NEWUSER, seccompAllow, seccompAllow},
		"flush":                 {unix.SYS_FSYNC, 0, answered, answered},
		"flush all":             {unix.SYS_SYNC, 0, answered, answered},
		"an owner":              {unix.SYS_FCHOWNAT, 0, answered, seccompAllow},
		"another user":          {unix.SYS_SETRESUID, 0, answered, seccompAllow},
		"groups":                {unix.SYS_SETGROUPS, 0, answered, seccompAllow},
	} {
		if got := verdictOf(t, filterProgram(true), auditArch, tt.call, tt.flags); got != tt.single {
			t.Errorf("%s of a single user: %#x, want %#x", name, got, tt.single)
		}
		if got := verdictOf(t, filterProgram(false), auditArch, tt.call, tt.flags); got != tt.many {
			t.Errorf("%s: %#x, want %#x", name, got, tt.many)
		}
	}
}

// The same calls have other numbers in other ABIs: none of those may be used.
func TestFilterKnowsOneABI(t *testing.T) {
	const nosys = seccompErrno | uint32(unix.ENOSYS)
	prog := filterProgram(false)
	for _, arch := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, 0} {
		if got := verdictOf(t, prog, arch, unix.SYS_READ, 0); got != nosys {
			t.Errorf("architecture %#x: %#x", arch, got)
		}
	}
	for _, call := range []uint32{0x40000000, 0x40000000 | unix.SYS_BPF, 0xffffffff} { // x32, and numbers below 0
		if got := verdictOf(t, prog, auditArch, call, 0); got != nosys {
			t.Errorf("call %#x: %#x", call, got)
		}
	}
}

// What programs of an image get is what containers usually have, and what the setup
// needs besides is not among it.
func TestCapabilities(t *testing.T) {
	usual := map[uintptr]bool{}
	for _, c := range usualCapabilities() {
		usual[c] = true
	}
	for _, c := range []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SYS_RESOURCE, unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_PTRACE, unix.CAP_SYS_MODULE, unix.CAP_BPF} {
		if usual[c] {
			t.Errorf("programs have capability %d", c)
		}
	}
	setup := setupCapabilities()
	if len(setup) != len(usual)+4 {
		t.Errorf("the setup has %d capabilities, the usual ones are %d", len(setup), len(usual))
	}
	// An append to a shared array would give programs those of the setup.
	if got := usualCapabilities(); len(got) != 14 || got[13] != unix.CAP_SETFCAP {
		t.Errorf("the usual capabilities are %v", got)
	}
}
