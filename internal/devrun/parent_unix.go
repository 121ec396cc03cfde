//go:build unix && !linux

package devrun

import "syscall"

// endWithParent is not to be had here.
func endWithParent(*syscall.SysProcAttr) {}
