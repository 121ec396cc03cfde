//go:build e2e && linux

package demo_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/test/contained"
)

func TestMain(m *testing.M) {
	contained.Main()
	os.Exit(m.Run())
}

// ordinary is a user of the machine who owns nothing, and has no ranges of ids.
const ordinary = 58234

// The demo shows the same to everybody, and leaves nothing. They mostly wait for zero,
// all at the same time.
func TestDemo(t *testing.T) {
	users := []struct {
		name     string
		user     uint32
		contain  bool
		isolated string
	}{
		{"root", uint32(os.Getuid()), false, "true"},
		{"an ordinary user", ordinary, false, "true"},
		{"root in a container", uint32(os.Getuid()), true, "false"},
		{"a user in a container", ordinary, true, "false"},
	}
	if os.Getenv("FULL") != "1" {
		users = users[:3]
	}
	for _, who := range users {
		t.Run(who.name, func(t *testing.T) {
			t.Parallel()
			d := newDemo(t, who.user, who.contain)
			begun := time.Now()
			out := d.run(t)
			took := time.Since(begun)
			for what, want := range map[string]string{
				"the split":          `hello-v1 .* 50 % +50 %(?s:.*)hello-v2 .* 50 % +50 %`,
				"100 answers":        `(?m)^ +50 Goodbye, World!\n +50 Hello, World!$`,
				"all answers":        `(?m)^ *\[200\]\s+\d{4,} responses\ninstances`,
				"more under load":    `(?m)^instances: 2 before, ([3-9]|[1-9][0-9]+) under load$`,
				"nothing at rest":    `(?m)^waiting for zero \.* instances: 0$`,
				"a cold answer":      `instances: 0\n(?s:.*)(Hello|Goodbye), World!\n(?s:.*)200 OK`,
				"how instances run":  `(?m)^isolated: ` + who.isolated + `$`,
				"everything deleted": `(?m)^service.serving.knative.dev/hello$`,
			} {
				if !regexp.MustCompile(want).MatchString(out) {
					t.Errorf("%s is missing: %s", what, want)
				}
			}
			// Four at once on two processors take longer than one.
			if limit := 90 * time.Second; took > limit {
				t.Errorf("it took %s, more than %s", took.Round(time.Second), limit)
			}
			d.leavesNothing(t)
			if t.Failed() {
				t.Log(out)
			}
			t.Logf("%.1f s", took.Seconds())
		})
	}
}

// demo is a checkout with what the demo needs of it, for one user.
type demo struct {
	dir, temp string
	cmd       *exec.Cmd
}

func newDemo(t *testing.T, user uint32, contain bool) *demo {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kn-lite-demo-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &demo{dir: dir, temp: filepath.Join(dir, "tmp")}
	for from, to := range map[string]string{"run": "test/demo/run", "../../bin/kn-lite": "bin/kn-lite", "../../bin/hey": "bin/hey"} {
		raw, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to = filepath.Join(dir, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, raw, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	program := filepath.Join(dir, "test/demo/run")
	if d.cmd = exec.CommandContext(ctx, program); contain {
		inside := contained.Command(program)
		d.cmd.Path, d.cmd.Args = inside.Path, inside.Args
	}
	d.cmd.Env = append(os.Environ(), "HOME="+filepath.Join(dir, "home"), "TMPDIR="+d.temp)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{}
	cache := goCache(t)
	if int(user) != os.Getuid() {
		d.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: user, Gid: user}
		cache = filepath.Join(dir, "go-build")
		linkRecent(t, goCache(t), cache)
	}
	d.cmd.Env = append(d.cmd.Env, "GOCACHE="+cache)
	for _, sub := range []string{"home", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if int(user) != os.Getuid() {
		chown(t, dir, int(user))
	}
	return d
}

func goCache(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// linkRecent makes a copy of a build cache for somebody else, of what was used lately:
// its files are shared, its folders are not.
func linkRecent(t *testing.T, from, to string) {
	t.Helper()
	folders, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	since := time.Now().Add(-3 * time.Hour) // Go notes a use by the hour
	for _, folder := range folders {
		if len(folder.Name()) != 2 {
			continue
		}
		if err := os.MkdirAll(filepath.Join(to, folder.Name()), 0o755); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(filepath.Join(from, folder.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if info, err := f.Info(); err != nil || info.ModTime().Before(since) {
				continue
			}
			// On another file system there is no link, and the user compiles.
			_ = os.Link(filepath.Join(from, folder.Name(), f.Name()), filepath.Join(to, folder.Name(), f.Name()))
		}
	}
}

// chown gives folders, and files that are not shared, to a user.
func chown(t *testing.T, dir string, user int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return os.Lchown(path, user, user)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (d *demo) run(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	d.cmd.Stdout, d.cmd.Stderr = &out, &out
	if err := d.cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

// leavesNothing: no file in its temporary folder, no process that knows of it.
func (d *demo) leavesNothing(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(d.temp); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(processes) == 0 {
		t.Fatalf("no processes: %v", err)
	}
	for _, p := range processes {
		if raw, err := os.ReadFile(p); err == nil && bytes.Contains(raw, []byte(d.dir)) {
			args, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "cmdline"))
			t.Errorf("a process is left: %s", bytes.ReplaceAll(args, []byte{0}, []byte{' '}))
		}
	}
}
