//go:build linux || darwin

package key

import (
	"fmt"
	"io/fs"
	"time"
)

// stamped is one spelling for all systems, and the later of the two times.
func stamped(info fs.FileInfo, device, inode uint64, changed time.Time) (string, time.Time, bool) {
	stamp := fmt.Sprintf("%d-%d-%d-%d-%d", info.Size(), info.ModTime().UnixNano(), changed.UnixNano(), device, inode)
	if info.ModTime().After(changed) {
		changed = info.ModTime()
	}
	return stamp, changed, true
}
