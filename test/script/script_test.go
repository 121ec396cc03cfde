// Package script runs the real kn-lite binary through the txtar scripts in
// testdata, one file for each thing a user can do or get wrong. Files are named
// VERB_what.txtar, so that `go test ./test/script -run TestScripts/build_` runs
// the scripts of one verb. README.md lists the commands and conditions.
package script

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kn-lite/kn-lite/test/scriptcmd"
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
	cmds := scriptcmd.Commands()
	cmds["events"] = events
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
