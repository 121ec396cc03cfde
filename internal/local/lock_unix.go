//go:build unix

package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// A client that looks whether the lock is held has it for an instant; whoever wants
// it tries for so long.
const (
	lockPatience = time.Second
	lockEvery    = 20 * time.Millisecond
)

// lock takes the folder for this process, until the file is closed or the process
// has ended, however it ends.
func (p Place) lock(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(p.file("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.Failure, "local.lock", p.Dir, "%w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	if waitForLock(ctx, f) != nil {
		return nil, errors.Join(fault.New(fault.Conflict, "local.up", p.Dir, "the platform runs already").
			WithHint("see `kn-lite local status`; `kn-lite local down` stops it"), f.Close())
	}
	return f, nil
}

// LockStart waits until nobody else starts a platform in the background from this
// folder; closing the file lets the next one go on.
func (p Place) LockStart(ctx context.Context) (io.Closer, error) {
	f, err := os.OpenFile(p.file("start.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.Failure, "local.lock", p.Dir, "%w", err)
	}
	if err := waitForLock(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func waitForLock(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(lockEvery)
	defer tick.Stop()
	for syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Alive reports whether a process with this number runs: one that has ended may be
// there until its parent asks for it, which in a container may be never.
func Alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, state, ok := strings.Cut(string(stat), ") ") // where there is no /proc, it counts as running
	return err != nil || !ok || !strings.HasPrefix(state, "Z")
}

// lockHeld reports whether another process has the lock.
func lockHeld(file string) (bool, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fault.New(fault.Failure, "local.lock", file, "%w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	held := errors.Is(err, syscall.EWOULDBLOCK)
	if err = f.Close(); err != nil {
		return false, fault.New(fault.Failure, "local.lock", file, "%w", err)
	}
	return held, nil
}
