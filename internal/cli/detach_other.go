//go:build !unix

package cli

import (
	"os"
	"os/exec"
)

func detach(*exec.Cmd) {}

func hangup() os.Signal { return os.Interrupt }
