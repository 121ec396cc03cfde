//go:build !linux

package rootfs

import "github.com/kn-lite/kn-lite/internal/sandbox"

// Guests are none where there is no sandbox.
func Guests() map[string]sandbox.Guest { return nil }
