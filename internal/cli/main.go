// Package cli is the command tree: flags, output formats and exit codes. It is
// the only importer of cobra; the commands call the packages below it and hold
// no logic of their own.
package cli

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/term"
)

// System is everything the program takes from its surroundings, so that tests
// can run the whole of it in-process.
type System struct {
	Args []string // argv, with the program's name first
	IO   *term.IO
	Env  func(string) string
	Vars []string // the whole environment as KEY=value, for child processes
	Dir  func() (string, error)
	Now  func() time.Time
}

// SystemOf is the real surroundings of the process.
func SystemOf(args []string, in, out, err *os.File) *System {
	return &System{
		Args: args,
		IO:   term.System(os.Getenv, in, out, err),
		Env:  os.Getenv,
		Vars: os.Environ(),
		Dir:  os.Getwd,
		Now:  time.Now,
	}
}

// Main runs the program and returns its exit code. The first interrupt asks
// politely by cancelling ctx, the second kills the process at once.
func Main(ctx context.Context, sys *System) int {
	ctx, stop := withSignals(ctx)
	defer stop()

	factory := newFactory(sys)
	root := newRootCmd(factory)
	sys.Args = append(sys.Args[:1:1], withoutDashes(root, arguments(sys.Args))...)
	root.SetArgs(sys.Args[1:])
	cmd, err := execute(ctx, root)
	if err == nil {
		err = sys.IO.Broken()
	}
	sys.IO.Flush()
	return conclude(ctx, factory, cmd, err, factory.report(ctx, err))
}

// execute runs the command that the arguments name, and returns it; a panic in it is
// its error.
func execute(ctx context.Context, root *cobra.Command) (cmd *cobra.Command, err error) {
	defer fault.Catch(&err)
	return root.ExecuteContextC(ctx)
}
