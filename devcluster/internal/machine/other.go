//go:build !linux

package machine

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"

	"github.com/kn-lite/kn-lite/devcluster/internal/process"
)

// errLinux is what every verb answers where there are no namespaces. `up` says it
// better and earlier: see preflight.
var errLinux = errors.New("a machine needs the Linux kernel")

// Machine cannot run here; it can be read from a record.
type Machine struct {
	Init         process.ID `json:"init"`
	PIDNamespace uint64     `json:"pidNamespace"`
}

// Init always fails here.
func Init(io.Reader, io.WriteCloser) error { return errLinux }

// Boot always fails here.
func Boot(context.Context, *exec.Cmd, Setup, func(Machine) error) (Machine, error) {
	return Machine{}, errLinux
}

// Alive reports false.
func (m Machine) Alive() bool { return false }

// Halt has nothing to do.
func (m Machine) Halt(context.Context) error { return nil }

// Processes lists none.
func (m Machine) Processes() []int { return nil }

// Start always fails here.
func (m Machine) Start(*exec.Cmd) error { return errLinux }

// Dial always fails here.
func (m Machine) Dial(context.Context, string, string) (net.Conn, error) { return nil, errLinux }

// Path returns the path itself.
func (m Machine) Path(inside string) string { return inside }

// Find finds none.
func Find(string) []int { return nil }
