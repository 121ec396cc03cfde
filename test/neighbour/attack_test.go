//go:build e2e

package neighbour

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The test binary is also the attacker's program: the second user runs it, and a
// hostile build leaves it behind with the set-uid bit.
const (
	argLook  = "neighbour-look"
	argWrite = "neighbour-write"
	canary   = "canary-7c1e"
	victim   = "input.txt"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == argLook {
		look(os.Args[2:])
		return
	}
	if len(os.Args) > 2 && os.Args[1] == argWrite {
		fmt.Println("RUNS as", os.Geteuid())
		write(os.Args[2:])
		look(os.Args[2:])
		return
	}
	os.Exit(m.Run())
}

// look prints what this user can read, and runs what has the set-uid bit.
func look(dirs []string) {
	dirs = append(dirs, processes()...)
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil // closed: the next one
			}
			if raw, err := os.ReadFile(at); err == nil {
				fmt.Println("READ", at)
				if bytes.Contains(raw, []byte(canary)) && !strings.Contains(at, "attack") {
					fmt.Println("CANARY", at)
				}
			}
			info, err := entry.Info()
			if err != nil || info.Mode()&fs.ModeSetuid == 0 || os.Args[1] == argWrite {
				return nil
			}
			out, err := exec.Command(at, append([]string{argWrite}, dirs...)...).CombinedOutput()
			if err == nil {
				fmt.Printf("SETUID %s\n%s", at, out)
			}
			return nil
		})
	}
}

// write changes the input of the build that runs.
func write(dirs []string) {
	for _, dir := range append(dirs, processes()...) {
		_ = filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Name() == victim && os.WriteFile(at, []byte("changed\n"), 0o644) == nil {
				fmt.Println("WROTE", at)
			}
			return nil
		})
	}
}

// processes returns folders that other processes of the machine give away.
func processes() []string {
	var out []string
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range all {
		if process == fmt.Sprint("/proc/", os.Getpid()) {
			continue
		}
		if raw, err := os.ReadFile(process + "/environ"); err == nil && bytes.Contains(raw, []byte(canary)) {
			fmt.Println("CANARY", process+"/environ")
		}
		mounts, _ := os.ReadFile(process + "/mountinfo")
		for line := range strings.Lines(string(mounts)) {
			// The folder that is mounted, as its file system names it.
			fields := strings.Fields(line)
			if len(fields) > 4 && (strings.Contains(fields[3], "kn-lite-neighbour") || strings.Contains(fields[3], "sandboxes")) {
				out = append(out, fields[3])
			}
		}
		for _, name := range []string{"root/src", "cwd/src"} {
			if _, err := os.ReadDir(filepath.Join(process, name)); err == nil {
				out = append(out, filepath.Join(process, name))
			}
		}
	}
	return out
}

// attack runs the attacker's program as a user, and returns what it prints.
func attack(t *testing.T, program string, uid uint32, dirs ...string) string {
	t.Helper()
	cmd := exec.Command(program, append([]string{argLook}, dirs...)...)
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the attacker's program: %v\n%s", err, out)
	}
	return string(out)
}
