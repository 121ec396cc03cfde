package doctor

import "golang.org/x/sys/unix"

// Free returns how many bytes a user may still write to the file system of dir.
func Free(dir string) (bytes uint64, known bool) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, false
	}
	return disk.Bavail * uint64(disk.Bsize), true
}
