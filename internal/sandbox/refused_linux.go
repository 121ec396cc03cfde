package sandbox

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// refused explains why this machine makes no namespaces.
func refused(err error) error {
	setting := func(name string) string {
		raw, readErr := os.ReadFile("/proc/sys/" + name)
		if readErr != nil {
			return ""
		}
		return strings.TrimSpace(string(raw))
	}
	var why, hint string
	switch {
	case setting("user/max_user_namespaces") == "0" || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EUSERS):
		why = "user namespaces are used up or switched off (sysctl user.max_user_namespaces)"
		hint = "sudo sysctl -w user.max_user_namespaces=15000"
	case setting("kernel/unprivileged_userns_clone") == "0":
		why = "user namespaces are for root only (sysctl kernel.unprivileged_userns_clone)"
		hint = "sudo sysctl -w kernel.unprivileged_userns_clone=1"
	case setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
		why = "AppArmor keeps programs without a profile from user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns)"
		hint = "give this program a profile that has `userns,`, or: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
	case errors.Is(err, syscall.EPERM):
		why = "a seccomp filter refuses user namespaces, as in a container with a default profile"
		hint = "start the container with a profile that allows clone and unshare, e.g. --security-opt seccomp=unconfined"
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSYS):
		why = "the kernel has no user namespaces"
		hint = "build on a machine whose kernel has CONFIG_USER_NS"
	default:
		return &fault.Error{Op: "sandbox.start", Err: err}
	}
	return fault.New(fault.Conflict, "sandbox.start", "", "this machine gives no sandbox: %s: %w", why, err).
		WithHint("%s\nor have the cluster build it: {Builder} cluster\nor build without a Dockerfile what has a language of its own: {Builder} layers", hint)
}
