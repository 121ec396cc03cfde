// Package scriptcmd is the commands that all txtar scripts know beside testscript's
// own.
package scriptcmd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// Command is one of a script's.
type Command = func(ts *testscript.TestScript, neg bool, args []string)

// Commands returns them by name.
func Commands() map[string]Command {
	return map[string]Command{"exitcode": exitcode, "replace": replace}
}

// exitcode runs a program and compares its exit code:
//
//	exitcode 2 kn-lite func create hello -l cobol
//
// Its output is there for stdout, stderr and cmp as after exec.
func exitcode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("exitcode %s: not a number", args[0])
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%v exited with %d, want %d", args[1:], got, want)
	}
}

// replace changes the one place in a file where a text stands, as an editor
// would: `replace 'Hello' 'Goodbye' handle.go`.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace OLD NEW FILE")
	}
	file := ts.MkAbs(args[2])
	after, err := Replace(ts.ReadFile(args[2]), args[0], args[1])
	if err != nil {
		ts.Fatalf("%s: %v", args[2], err)
	}
	ts.Check(os.WriteFile(file, []byte(after), 0o644))
}

// Replace changes the one place of a text where from stands.
func Replace(text, from, to string) (string, error) {
	if n := strings.Count(text, from); n != 1 {
		return "", fmt.Errorf("%q stands there %d times, want once", from, n)
	}
	return strings.Replace(text, from, to, 1), nil
}
