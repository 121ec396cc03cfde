//go:build unix

package source

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSpecialFilesAreNamedAndLeftOut(t *testing.T) {
	at := tree(t, "a.js")
	if err := syscall.Mkfifo(filepath.Join(at.Dir(), "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A socket's path is limited to about 100 bytes, so it is made from inside.
	t.Chdir(at.Dir())
	listener, err := net.Listen("unix", "sock")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var notes []string
	files, err := at.Walk(context.Background(), "", everything, func(s string) { notes = append(notes, s) })
	if err != nil || !slices.Equal(paths(files), []string{"a.js"}) {
		t.Errorf("files = %v, %v", paths(files), err)
	}
	if got := strings.Join(notes, "; "); got != "left out pipe: it is a FIFO; left out sock: it is a socket" {
		t.Errorf("notes = %s", got)
	}
}

// Without O_NONBLOCK this open waits for a writer until the test times out.
func TestFIFOInPlaceOfAFileDoesNotBlock(t *testing.T) {
	at := tree(t, "file")
	files, err := at.Walk(context.Background(), "", everything, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(at.Dir(), "file")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := files[0].Open()
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("the FIFO was opened as if it were the file")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("open blocks")
	}
}

func TestUnreadableFileIsNamed(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	at := tree(t, "file")
	if err := os.Chmod(filepath.Join(at.Dir(), "file"), 0); err != nil {
		t.Fatal(err)
	}
	files, err := at.Walk(context.Background(), "", everything, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files[0].Open(); err == nil {
		t.Error("no error")
	}
}
