//go:build unix

package script

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// TestInterruptedPush stops a push in the middle of each of its requests: it
// ends at once with 130, and leaves neither a file nor a tag.
func TestInterruptedPush(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs go")
	}
	vars, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	project, temp := filepath.Join(work, "hello"), filepath.Join(work, "tmp")
	env := append(append(vars, toolenv.Home(filepath.Join(work, "home"))...), "TMPDIR="+temp, "PATH="+os.Getenv("PATH"))
	command := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
		said := &bytes.Buffer{}
		cmd := exec.Command("kn-lite", args...)
		cmd.Dir, cmd.Env, cmd.Stderr = work, env, said
		return cmd, said
	}
	for _, args := range [][]string{{"func", "create", "hello", "-l", "go"}, {"build", project, "--image", "registry.example/me/hello"}} {
		if err := os.MkdirAll(temp, 0o755); err != nil {
			t.Fatal(err)
		}
		if cmd, said := command(args...); cmd.Run() != nil {
			t.Fatalf("%v:\n%s", cmd.Args, said)
		}
	}
	before := names(t, work)
	var slowest time.Duration
	for _, on := range []regtest.Request{
		regtest.Ping, regtest.Token, regtest.HeadTag, regtest.HeadBlob, regtest.PostUpload,
		regtest.PatchUpload, regtest.PutUpload, regtest.PutManifest, regtest.PutTag,
	} {
		t.Run(string(on), func(t *testing.T) {
			server := regtest.New(regtest.Fault{On: on, Times: -1, Do: regtest.Stall()})
			if on == regtest.Token {
				server.Auth = "bearer"
			}
			address, stop, err := regtest.Listen(server, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			cmd, said := command("push", project, "--image", address+"/me/hello:v1")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
			defer kill.Stop()
			for deadline := time.Now().Add(30 * time.Second); server.Count(on) == 0 && time.Now().Before(deadline); {
				time.Sleep(5 * time.Millisecond)
			}
			started := time.Now()
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			exit, _ := errors.AsType[*exec.ExitError](cmd.Wait())
			took := time.Since(started)
			slowest = max(slowest, took)
			if exit == nil || exit.ExitCode() != 130 || took > 5*time.Second {
				t.Errorf("%v after %v, want exit 130:\n%s", exit, took, said)
			}
			server.Verify(t)
			if digest, _ := server.Tag("me/hello", "v1"); digest != "" {
				t.Errorf("there is a tag %s", digest)
			}
			if diff := cmp.Diff(before, names(t, work)); diff != "" {
				t.Errorf("files (-before +after):\n%s", diff)
			}
		})
	}
	t.Logf("the slowest took %v", slowest.Round(time.Millisecond))
}

// names are all paths below dir.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
		all = append(all, at)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
