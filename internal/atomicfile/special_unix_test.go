//go:build unix

package atomicfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// TestSpecialFiles: what is no plain file is written into, and is there afterwards; a
// path that nobody gave is replaced as ever.
func TestSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("pipe", link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{pipe, link} {
		got := make(chan string, 1)
		go func() {
			f, err := os.Open(pipe)
			if err != nil {
				got <- err.Error()
				return
			}
			defer f.Close()
			raw, err := io.ReadAll(f)
			got <- fmt.Sprint(string(raw), err)
		}()
		if err := Write(file, []byte("content"), Options{Given: true}); err != nil {
			t.Fatal(err)
		}
		if text := <-got; text != "content<nil>" {
			t.Errorf("%s: read %q", file, text)
		}
		if info, err := os.Stat(file); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
			t.Errorf("%s is %v, %v", file, info.Mode(), err)
		}
	}
	if err := Write(pipe, []byte("content"), Options{}); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(pipe); err != nil || string(raw) != "content" {
		t.Errorf("replaced: %q, %v", raw, err)
	}
}

// TestOpenFiles: a file that is reached as one that this process has open, as by
// /dev/stdout, is added to; its name alone is replaced.
func TestOpenFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("links to open files are Linux's")
	}
	log := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("before\n"); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{fmt.Sprintf("/dev/fd/%d", f.Fd()), fmt.Sprintf("/proc/self/fd/%d", f.Fd())} {
		if err := Write(file, []byte(file+"\n"), Options{Given: true, FollowLink: true}); err != nil {
			t.Fatal(err)
		}
	}
	want := fmt.Sprintf("before\n/dev/fd/%d\n/proc/self/fd/%[1]d\n", f.Fd())
	if raw, err := os.ReadFile(log); err != nil || string(raw) != want {
		t.Errorf("the log is %q, %v, want %q", raw, err, want)
	}
	if err := Write(log, []byte("new"), Options{Given: true}); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(log); err != nil || string(raw) != "new" {
		t.Errorf("by its name: %q, %v", raw, err)
	}
}
