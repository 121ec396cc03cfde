//go:build unix

package source

import (
	"context"
	"errors"
	"io"
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

// TestRaces swaps a file for a link to a secret, and back, as fast as it can,
// while the folder is read a thousand times.
func TestRaces(t *testing.T) {
	at := tree(t, "file", "other")
	file := filepath.Join(at.Dir(), "file")
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for n := 0; err == nil; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			next := file + ".next"
			if n%2 == 0 {
				err = os.Symlink("../secret", next)
			} else {
				err = os.WriteFile(next, []byte("file"), 0o600)
			}
			if err == nil {
				err = os.Rename(next, file)
			}
		}
		stopped <- err
	}()
	read, refused := 0, 0
	// On a busy machine the other side may not get its turn in a thousand times.
	deadline := time.Now().Add(time.Minute)
	for n := 0; n < 1000 || (read == 0 || refused == 0) && time.Now().Before(deadline); n++ {
		files, err := at.Walk(context.Background(), "", everything, func(string) {})
		if err != nil {
			refused++
			continue
		}
		for _, f := range files {
			if f.Open == nil {
				continue
			}
			r, err := f.Open()
			if err != nil {
				refused++
				continue
			}
			content, err := io.ReadAll(r)
			if err = errors.Join(err, r.Close()); err != nil {
				refused++
			}
			if strings.Contains(string(content), "canary") {
				t.Fatal("read what is outside of the folder")
			}
			read++
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if read == 0 || refused == 0 {
		t.Errorf("%d files were read and %d refused: there was no race", read, refused)
	}
	t.Logf("%d files read, %d times refused", read, refused)
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
