//go:build !linux

package local

import (
	"context"
	"os"
	"runtime"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Up runs on Linux only.
func Up(context.Context, Options) error {
	return fault.New(fault.Failure, "local.up", "", "the platform needs Linux, and this is %s", runtime.GOOS).
		WithHint("run kn-lite in a Linux container or virtual machine (Docker Desktop, Colima, WSL 2), or name a cluster with {Kubeconfig}")
}

// Purge removes everything that a platform has kept.
func Purge(_ context.Context, o Options) error { return os.RemoveAll(o.Place.Dir) }
