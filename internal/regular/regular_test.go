//go:build unix

package regular

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// folder has one of each kind of file. Its name is short enough for a socket.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for name, content := range map[string]string{"file": "content", "sub/file": "below", "outside": ""} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo("fifo", 0o600), os.Symlink("fifo", "to-fifo"), os.Symlink("file", "to-file"),
		os.Symlink("/etc/passwd", "out"), os.Symlink("/dev/zero", "zero")); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return dir
}

// A blocked open would hang here until the test binary times out.
func TestOnlyRegularFilesAreOpened(t *testing.T) {
	root, err := os.OpenRoot(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, want := range map[string]string{
		"fifo": "it is a FIFO", "to-fifo": "it is a FIFO", "socket": "it is a socket", "sub": "it is a folder", "zero": "it is a device",
	} {
		readers := map[string]func() ([]byte, error){"ReadFile": func() ([]byte, error) { return ReadFile(name) }}
		if name != "zero" {
			readers["ReadFileIn"] = func() ([]byte, error) { return ReadFileIn(root, name) }
			readers["fs.ReadFile"] = func() ([]byte, error) { return fs.ReadFile(FS(root), name) }
		}
		for reader, read := range readers {
			_, err := read()
			if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), want) || !strings.Contains(Cause(err).Error(), "not a regular file") {
				t.Errorf("%s of %s: %v", reader, name, err)
			}
		}
	}
	if f, err := FS(root).Open("fifo"); err == nil {
		t.Error("Open opened a FIFO", f.Close())
	}
	for _, name := range []string{"file", "to-file"} {
		if raw, err := ReadFile(name); err != nil || string(raw) != "content" {
			t.Errorf("%s: %q, %v", name, raw, err)
		}
		if raw, err := ReadFileIn(root, name); err != nil || string(raw) != "content" {
			t.Errorf("%s below the root: %q, %v", name, raw, err)
		}
	}
	if raw, err := ReadFileIn(root, "out"); err == nil {
		t.Errorf("read %q out of the root", raw)
	}
	if _, err := ReadFile("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

func TestFS(t *testing.T) {
	dir := folder(t)
	for _, name := range []string{"fifo", "to-fifo", "socket", "out", "zero"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := fstest.TestFS(FS(root), "file", "sub/file", "to-file"); err != nil {
		t.Error(err)
	}
}

func TestLargeFilesAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sparse")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 1<<40)); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(file); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "larger than 64 MB") {
		t.Errorf("err = %v", err)
	}
}

func TestDigest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	if got, err := Digest(file); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if got, err := Digest(filepath.Dir(file)); err == nil {
		t.Errorf("a folder has the digest %s", got)
	}
}
