package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

func ownerCalls() []uintptr {
	return []uintptr{
		unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_SETGROUPS, unix.SYS_CAPSET,
		unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID,
		unix.SYS_SETFSUID, unix.SYS_SETFSGID,
	}
}
