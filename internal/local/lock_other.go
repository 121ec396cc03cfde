//go:build !unix

package local

import (
	"context"
	"io"
	"os"
	"os/exec"
)

// lockHeld reports no platform where none can run.
func lockHeld(string) (bool, error) { return false, nil }

// LockStart locks nothing where no platform can run.
func (p Place) LockStart(context.Context) (io.Closer, error) { return os.Open(os.DevNull) }

// Alive reports no process: there is no platform.
func Alive(int) bool { return false }

func detach(*exec.Cmd) {}
