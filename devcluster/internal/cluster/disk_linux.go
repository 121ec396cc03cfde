package cluster

import "golang.org/x/sys/unix"

// snapshotter is containerd's way to stack image layers in a folder: "overlayfs",
// unless the folder is itself on an overlay (a container's disk), which cannot carry
// another one.
func snapshotter(folder string) string {
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}
