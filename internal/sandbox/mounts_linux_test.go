package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
)

const argMounts = "sandbox-test-mounts"

// describe is a program inside that says of each path what is there, and whether it
// can be written to.
func describe(paths []string) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			fmt.Println(path, "is not there")
			continue
		}
		stat, _ := info.Sys().(*syscall.Stat_t)
		text, at := "", filepath.Join(path, "new")
		if !info.IsDir() {
			raw, _ := os.ReadFile(path)
			text, at = fmt.Sprintf(" %q", raw), path
		}
		f, err := os.OpenFile(at, os.O_CREATE|os.O_WRONLY, 0o600)
		writable := err == nil
		_ = f.Close()
		fmt.Printf("%s %v %d:%d%s, writable %t, read-only %t\n", path, info.Mode(), stat.Uid, stat.Gid, text, writable, errors.Is(err, unix.EROFS))
	}
}

func mounted(t *testing.T, box *Box, root string, paths []string, mounts ...Mount) (string, error) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err := errors.Join(err, os.WriteFile(filepath.Join(root, "probe"), self, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"proc", "dev", "sys", "old", "m"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	command := &Command{Args: append([]string{"/probe", argMounts}, paths...), Dir: "/", Mounts: mounts}
	err = box.Call(t.Context(), Call{Root: root, Command: command, Out: &out, Err: &out})
	return out.String(), err
}

// A mount later in the list lies on those before it; what is mounted is what was asked for.
func TestMountsOfACommand(t *testing.T) {
	if cgo := buildSetting("CGO_ENABLED"); cgo != "0" {
		t.Skipf("the probe is this test's own program, which has to be static: CGO_ENABLED=%s", cgo)
	}
	box := openBox(t)
	source := newRoot(t, box)
	if err := errors.Join(
		os.MkdirAll(filepath.Join(source, "sub", "deep"), 0o755), os.WriteFile(filepath.Join(source, "sub", "file"), []byte("of the source"), 0o644),
		os.Symlink("/etc", filepath.Join(source, "out")), os.Symlink("sub", filepath.Join(source, "in")),
	); err != nil {
		t.Fatal(err)
	}
	said, err := mounted(t, box, newRoot(t, box), []string{"/m", "/m/file", "/m/secret", "/m/deep", "/deep", "/tmp", "/one"},
		Mount{Target: "/m", Source: source, Sub: "/in", ReadOnly: true},
		Mount{Target: "/m/deep", Mode: 0o1777},
		Mount{Target: "/old", Mode: 0o700},
		Mount{Target: "/old/secret", Content: []byte("hush"), Mode: 0o400, ReadOnly: true},
		Mount{Target: "/tmp", Mode: 0o1777, Size: 4096},
		Mount{Target: "/one", Source: source, Sub: "/sub/file", File: true, ReadOnly: true},
	)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, want := range []string{
		"/m/file -rw-r--r-- ", `"of the source", writable false`, "/m drwxr-xr-x ", "/m/secret is not there", "/m/deep dtrwxrwxrwx 0:0, writable true",
		"/deep is not there", "/tmp dtrwxrwxrwx 0:0, writable true", "/one -rw-r--r-- ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in\n%s", want, said)
		}
	}
	if !regexp.MustCompile(`(?m)^/m .*, writable false, read-only true$`).MatchString(said) {
		t.Errorf("the read-only mount is none:\n%s", said)
	}
	if entries, err := os.ReadDir(filepath.Join(source, "sub")); err != nil || len(entries) != 2 {
		t.Errorf("the source has %v, %v", entries, err)
	}
	// What is in a source is not trusted: its links stay below it.
	for _, sub := range []string{"/out", "/out/passwd", "/../..", "/none"} {
		said, err := mounted(t, box, newRoot(t, box), []string{"/m"}, Mount{Target: "/m", Source: source, Sub: sub})
		if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "nothing to mount at "+sub) {
			t.Errorf("%s: %v (%v)\n%s", sub, err, fault.KindOf(err), said)
		}
	}
}
