// Package script runs the real kn-lite binary through the txtar scripts in
// testdata, one file for each thing a user can do or get wrong. Files are named
// VERB_what.txtar, so that `go test ./test/script -run TestScripts/build_` runs
// the scripts of one verb. README.md lists the commands and conditions.
package script

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kn-lite/kn-lite/test/toolenv"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds the binary once for all scripts. It is the binary that users get
// and not this test re-executed under another name: main.go and the linker's
// settings are part of what is tested.
func run(m *testing.M) int {
	flag.Parse()
	bin := os.Getenv("KN_LITE_BIN")
	if bin == "" {
		dir, err := os.MkdirTemp("", "kn-lite-script-")
		if err != nil {
			return fail(err)
		}
		defer os.RemoveAll(dir)
		bin = filepath.Join(dir, "kn-lite")
		args := []string{"build", "-o", bin}
		if os.Getenv("GOCOVERDIR") != "" {
			args = append(args, "-cover", "-coverpkg=github.com/kn-lite/kn-lite/...")
		}
		build := exec.Command("go", append(args, "github.com/kn-lite/kn-lite/cmd/kn-lite")...)
		if out, err := build.CombinedOutput(); err != nil {
			return fail(fmt.Errorf("building kn-lite: %w\n%s", err, out))
		}
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return fail(err)
	}
	if err := os.Setenv("PATH", filepath.Dir(bin)+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		return fail(err)
	}
	return m.Run()
}

func fail(err error) int {
	os.Stderr.WriteString(err.Error() + "\n")
	return 1
}

func TestScripts(t *testing.T) {
	env, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){
		"exitcode": exitcode,
		"replace":  replace,
		"events":   events,
	}
	maps.Copy(cmds, registryCommands())
	maps.Copy(cmds, clusterCommands())
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		Setup:               func(e *testscript.Env) error { return isolate(e, env) },
		Condition:           condition,
		Cmds:                cmds,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
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
	before := ts.ReadFile(args[2])
	after, err := replaceOnce(before, args[0], args[1])
	if err != nil {
		ts.Fatalf("%s: %v", args[2], err)
	}
	ts.Check(os.WriteFile(file, []byte(after), 0o644))
}
