package key

import (
	"io/fs"
	"syscall"
	"time"
)

// stampOf is what the file system says about a file, and when it changed last.
func stampOf(info fs.FileInfo) (stamp string, changed time.Time, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", time.Time{}, false
	}
	return stamped(info, uint64(st.Dev), st.Ino, time.Unix(st.Ctimespec.Unix()))
}
