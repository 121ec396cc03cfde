package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// A disk that is full is named, and nothing is left on it.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root has a disk to fill")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=40m,mode=755"); err != nil {
		t.Skipf("no disk of our own: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	box := open(t, Options{Dir: dir})
	root := newRoot(t, box)
	err := box.Call(context.Background(), Call{Root: root, Guest: "fill"})
	if err == nil || !strings.Contains(fault.HintOf(err), dir) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("%v; hint %q", err, fault.HintOf(err))
	}
	if err := os.Truncate(filepath.Join(root, "fill"), 0); err != nil {
		t.Fatal(err)
	}
	// What was left behind when there was no space, even for a lock, goes.
	if err := box.lock.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, Options{Dir: dir})
	closeBox(t, next)
	if left, err := filepath.Glob(filepath.Join(dir, homeName, "*", workPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// fill is a guest that writes until there is no space.
func fill() error {
	f, err := os.Create("/fill")
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for range 1000 {
		if _, err = f.Write(block); err != nil {
			break
		}
	}
	return errors.Join(err, f.Close())
}
