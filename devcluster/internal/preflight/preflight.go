// Package preflight says before anything is made whether this machine can carry a
// devcluster, and if not, what is missing and what to do about it.
package preflight

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/devcluster/internal/cgroup"
	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
)

// Facts are what the checks look at.
type Facts struct {
	OS string
	// UID is the effective user id.
	UID int
	// Capabilities is CapEff of /proc/self/status.
	Capabilities uint64
	// Namespaces are the names below /proc/self/ns.
	Namespaces []string
	// Filesystems is the text of /proc/filesystems.
	Filesystems string
	// Cgroups are the mounted hierarchies; MissingControllers those that a kubelet
	// needs and none of them has; ReadOnly the mounts that cannot be written.
	Cgroups            []cgroup.Hierarchy
	MissingControllers []string
	ReadOnly           []string
}

// Look gathers the facts of the running machine.
func Look() (Facts, error) {
	f := Facts{OS: runtime.GOOS, UID: os.Geteuid()}
	if f.OS != "linux" {
		return f, nil
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return f, err
	}
	if f.Capabilities, err = capEff(string(status)); err != nil {
		return f, err
	}
	entries, err := os.ReadDir("/proc/self/ns")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	for _, e := range entries {
		f.Namespaces = append(f.Namespaces, e.Name())
	}
	fs, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return f, err
	}
	f.Filesystems = string(fs)
	mounts, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return f, err
	}
	defer mounts.Close()
	if f.Cgroups, err = cgroup.Hierarchies(mounts); err != nil {
		return f, err
	}
	if f.MissingControllers, err = cgroup.Missing(f.Cgroups); err != nil {
		return f, err
	}
	for _, h := range f.Cgroups {
		if !writable(h.Mount) {
			f.ReadOnly = append(f.ReadOnly, h.Mount)
		}
	}
	return f, nil
}

// writable asks without leaving anything: opening a folder's own attribute files
// would, in some hierarchies, change them.
func writable(dir string) bool {
	probe, err := os.MkdirTemp(dir, "kn-lite-preflight-")
	if err != nil {
		return false
	}
	return os.Remove(probe) == nil
}

func capEff(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	return 0, errors.New("/proc/self/status has no CapEff")
}

// Capabilities by their numbers in linux/capability.h.
const (
	capChown, capKill, capNetAdmin, capSysChroot, capSysAdmin, capMknod = 0, 5, 12, 18, 21, 27
)

// Check returns the first reason why the machine cannot carry a cluster, or nil.
func Check(f Facts) error {
	refuse := func(subject, why, hint string) error {
		return &fault.Error{Op: "check this machine", Subject: subject, Err: errors.New(why), Hint: hint}
	}
	if f.OS != "linux" {
		return refuse("operating system", "a node needs the Linux kernel, this is "+f.OS,
			"run devcluster in a Linux virtual machine or on a Linux CI runner")
	}
	if f.UID != 0 {
		return refuse("user", fmt.Sprintf("namespaces, mounts and cgroups need root, this is uid %d", f.UID),
			"run it with sudo -E, so that HOME and PATH stay")
	}
	for _, c := range []struct {
		bit  int
		name string
	}{
		{capSysAdmin, "CAP_SYS_ADMIN"},
		{capNetAdmin, "CAP_NET_ADMIN"},
		{capSysChroot, "CAP_SYS_CHROOT"},
		{capMknod, "CAP_MKNOD"},
		{capKill, "CAP_KILL"},
		{capChown, "CAP_CHOWN"},
	} {
		if f.Capabilities&(1<<c.bit) == 0 {
			return refuse("capabilities", "root here lacks "+c.name,
				"in a container, start it privileged (docker run --privileged); in Kubernetes set securityContext.privileged")
		}
	}
	for _, ns := range []string{"pid", "mnt", "net", "uts", "ipc"} {
		if !slices.Contains(f.Namespaces, ns) {
			return refuse("namespaces", "the kernel has no "+ns+" namespaces", "boot a kernel with CONFIG_NAMESPACES and its parts")
		}
	}
	if !hasFilesystem(f.Filesystems, "overlay") {
		return refuse("file systems", "the kernel does not know overlay", "modprobe overlay, or boot a kernel with CONFIG_OVERLAY_FS")
	}
	if len(f.Cgroups) == 0 {
		return refuse("cgroups", "no cgroup hierarchy is mounted", "mount -t cgroup2 none /sys/fs/cgroup")
	}
	if len(f.MissingControllers) > 0 {
		return refuse("cgroups", "no hierarchy has the controllers "+strings.Join(f.MissingControllers, ", "),
			"on a systemd machine set Delegate=yes for this session; in a container use --cgroupns=host")
	}
	if len(f.ReadOnly) > 0 && len(f.ReadOnly) == len(f.Cgroups) {
		return refuse("cgroups", "cannot make a cgroup below "+strings.Join(f.ReadOnly, ", "),
			"in a container, start it privileged, with /sys/fs/cgroup mounted read-write")
	}
	return nil
}

func hasFilesystem(text, name string) bool {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[len(fields)-1] == name {
			return true
		}
	}
	return false
}
