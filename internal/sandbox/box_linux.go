package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Box is a folder of root file systems, and the way to run things in them.
type Box struct {
	dir     string
	lock    *os.File
	ids     mapping
	dropped string // why a better identity was not to be had
	roots   int
}

// prefix is how the folder of a Box begins; others beside it are not touched.
const prefix = "box-"

// Open makes an empty Box and removes those whose process is gone.
func Open(ctx context.Context, options Options) (*Box, error) {
	b := &Box{ids: chooseMapping(options.Path)}
	b.dropped = b.ids.whyNotRangesText
	home, err := b.home(options.Dir, options.Temp)
	if err != nil {
		return nil, &fault.Error{Op: "sandbox.open", Subject: options.Dir, Err: err, Hint: "the cache folder must be writable; set XDG_CACHE_HOME to one that is"}
	}
	if err := b.make(home); err != nil {
		return nil, &fault.Error{Op: "sandbox.open", Subject: home, Err: err}
	}
	// The first call tells whether this machine allows any of this.
	root, err := b.Root()
	if err == nil {
		err = b.Call(ctx, Call{Root: root})
		if _, ok := errors.AsType[*mapError](err); ok {
			b.ids.identity, b.dropped = Single, err.Error()
			err = b.Call(ctx, Call{Root: root})
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir), b.lock.Close())
	}
	b.sweep(ctx, home)
	return b, nil
}

// Expect tells the identity that a Box will most probably have; path is $PATH.
func Expect(path string) Identity { return chooseMapping(path).identity }

// Identity tells who the users inside are, and why they are not somebody better.
func (b *Box) Identity() (identity Identity, why string) { return b.ids.identity, b.dropped }

// home is the folder that boxes are made in.
func (b *Box) home(dir, temp string) (string, error) {
	if b.ids.identity == Shifted && !openToOthers(dir) {
		if !holdsRoots(temp) {
			temp = "/var/tmp"
		}
		// One folder for all of root's builds; its name is root's only when root owns it.
		dir = filepath.Join(temp, "kn-lite-root")
		if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
		info, err := os.Lstat(dir)
		if err != nil {
			return "", err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || !info.IsDir() || stat.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
			return "", fmt.Errorf("%s is not a folder of root's alone: remove it", dir)
		}
		return dir, nil
	}
	home := filepath.Join(dir, "boxes")
	if b.ids.identity != Shifted {
		return home, os.MkdirAll(home, 0o700)
	}
	return home, os.MkdirAll(home, 0o711)
}

// holdsRoots tells whether root's sandboxes can live in dir: root's own folder,
// open to others, on a file system whose programs run as they do elsewhere.
func holdsRoots(dir string) bool {
	if !filepath.IsAbs(dir) || !openToOthers(dir) {
		return false
	}
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Flags&(unix.ST_NOEXEC|unix.ST_NOSUID|unix.ST_RDONLY) != 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == 0
}

// openToOthers tells whether a user who owns nothing gets to dir, as far as it
// is there already.
func openToOthers(dir string) bool {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if at == filepath.Dir(at) {
			return true
		}
	}
}

// Home is the folder that boxes are in; it outlasts this Box.
func (b *Box) Home() string { return filepath.Dir(b.dir) }

// Own changes owner and mode of a folder that Folder has made, to ids inside.
func (b *Box) Own(ctx context.Context, dir string, mode fs.FileMode, uid, gid int) error {
	if b.ids.identity == Single {
		uid, gid = 0, 0
	}
	return b.Call(ctx, Call{Root: dir, Guest: guestOwn, Args: ownArgs{uint32(mode.Perm()), uid, gid}})
}

// make makes the folder with its lock, which the kernel lets go when we die.
func (b *Box) make(home string) (err error) {
	if b.dir, err = os.MkdirTemp(home, prefix); err != nil {
		return err
	}
	// A build may make set-uid programs. Where they belong to this user, no other
	// user of the machine may reach them; where they belong to nobody, the
	// sandbox's root has to get in.
	if b.ids.identity == Shifted {
		if err = os.Chmod(b.dir, 0o711); err != nil {
			return err
		}
	}
	// It gets its name when it is held: others would take a box whose lock is free
	// for one that was left behind.
	making := filepath.Join(b.dir, "lock.new")
	if b.lock, err = os.Create(making); err != nil {
		return err
	}
	if err = syscall.Flock(int(b.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}
	if err = os.Rename(making, filepath.Join(b.dir, "lock")); err != nil {
		return err
	}
	return os.Mkdir(b.stage(), 0o711)
}

func (b *Box) stage() string { return filepath.Join(b.dir, "stage") }

// Root makes an empty root file system, owned by the root of the sandbox.
func (b *Box) Root() (string, error) {
	b.roots++
	dir := filepath.Join(b.dir, "root-"+strconv.Itoa(b.roots))
	return dir, b.Folder(dir)
}

// Folder makes a folder of the host that the sandbox's root owns, with its
// parents. It may be there already.
func (b *Box) Folder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o711); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if b.ids.identity == Shifted {
		return os.Lchown(dir, b.ids.shiftTo, b.ids.shiftTo)
	}
	return nil
}

// Close removes everything in the box.
func (b *Box) Close(ctx context.Context) error {
	return errors.Join(b.remove(ctx, b.dir), b.lock.Close())
}

// remove deletes dir, whose files belong to users of the sandbox. Root may do
// that itself; everybody else needs to be the sandbox's root.
func (b *Box) remove(ctx context.Context, dir string) error {
	if b.ids.identity != Shifted {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "root-") {
				if err := b.Call(ctx, Call{Root: filepath.Join(dir, e.Name()), Guest: guestEmpty}); err != nil {
					return err
				}
			}
		}
	}
	return os.RemoveAll(dir)
}

// sweep removes the boxes that a killed process has left behind. What cannot be
// removed stays for the next time.
func (b *Box) sweep(ctx context.Context, home string) {
	entries, err := os.ReadDir(home)
	if err != nil {
		return
	}
	for _, e := range entries {
		dir := filepath.Join(home, e.Name())
		if dir == b.dir || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		lock, err := os.Open(filepath.Join(dir, "lock"))
		if err != nil {
			// Somebody is about to make it, or was when the machine went down.
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
				_ = os.RemoveAll(dir)
			}
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = b.remove(ctx, dir)
		}
		_ = lock.Close()
	}
}
