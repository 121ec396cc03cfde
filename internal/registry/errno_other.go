//go:build !windows

package registry

import (
	"errors"
	"syscall"
)

// isRefused tells that nobody answered at that address, which time rarely cures.
func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}
