//go:build !unix

package server

import (
	"io/fs"
	"os"
)

// tryLock has nothing to lock with here.
func tryLock(*os.File) bool { return true }

// isOwn reports no folder as one to be removed: without locks it is not known
// which of them are in use.
func isOwn(fs.FileInfo) bool { return false }
