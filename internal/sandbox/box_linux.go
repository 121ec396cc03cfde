package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Box is a folder that this process has for itself until Close, with a range of
// ids where it is root's; it holds root file systems, and is the way to run
// things in them.
//
//	HOME/N/lock      held while a process, or what it has started, uses N
//	HOME/N/stage     empty; the sandbox mounts on it what it needs
//	HOME/N/work-…    root file systems, or a link to them; gone after Close
//	HOME/N/shifted-… what outlasts a build: see Home
type Box struct {
	dir     string // HOME/N
	work    string
	lock    *os.File
	ids     mapping
	dropped string // why a better identity was not to be had
	// overlays says that overlays were tried, and behave; chains, that a Call with
	// Then does.
	overlays, chains bool
	roots            atomic.Int64
	spawner          spawner
}

// maxBoxes is how many processes of a user may build at once.
const maxBoxes = 1000

// Open makes an empty Box and removes what killed processes have left in others.
func Open(ctx context.Context, options Options) (*Box, error) {
	b := &Box{ids: chooseMapping(options.Path)}
	b.dropped = b.ids.whyNotRangesText
	home, err := b.ids.openHome(options.Dir)
	if err != nil {
		return nil, &fault.Error{Op: "sandbox.open", Subject: options.Dir, Err: err, Hint: "set XDG_CACHE_HOME to a folder that you can write to, and as root nobody else can"}
	}
	if err := b.take(home, options.First); err != nil {
		return nil, &fault.Error{Op: "sandbox.open", Subject: home, Err: err}
	}
	if err := b.prepare(ctx, options.Temp); err != nil {
		return nil, errors.Join(err, b.lock.Close())
	}
	b.sweep(ctx, home)
	b.sweepEarlier(ctx, options)
	return b, nil
}

// prepare makes the folders and tries whether this machine allows any of this.
func (b *Box) prepare(ctx context.Context, temp string) error {
	if err := b.makeWork(temp); err != nil {
		return err
	}
	root, err := b.Root()
	if err == nil {
		err = b.try(ctx, root)
		if _, ok := errors.AsType[*mapError](err); ok {
			b.ids.identity, b.dropped = Single, err.Error()
			err = b.try(ctx, root)
		}
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(root), b.clean(ctx, b.dir, ""))
	}
	return b.clean(ctx, b.dir, b.work)
}

// try starts one process: on an overlay, and where that does not go, on the folder
// root.
func (b *Box) try(ctx context.Context, root string) error {
	err := b.probeOverlays(ctx, "chain", &Then{Guest: guestProbeApart})
	b.overlays, b.chains = err == nil, err == nil
	if _, ok := errors.AsType[*mapError](err); ok || err == nil {
		return err
	}
	if b.overlays = b.probeOverlays(ctx, "plain", nil) == nil; b.overlays {
		return nil
	}
	return b.Call(ctx, Call{Root: root})
}

// Expect returns the identity that a Box will most probably have; path is $PATH.
func Expect(path string) Identity { return chooseMapping(path).identity }

// HighestID returns the highest user or group id that there will most probably be inside.
func HighestID(path string) int64 { return chooseMapping(path).highest() }

// Identity returns who the users inside are, and why they are not somebody better.
func (b *Box) Identity() (identity Identity, why string) { return b.ids.identity, b.dropped }

// Home returns a folder that outlasts this Box. No other process uses it until
// Close, and the one that gets it next has the same ids: files in it may
// belong to users of the sandbox.
func (b *Box) Home() string {
	return filepath.Join(b.dir, fmt.Sprintf("%s-%d", b.ids.identity, b.ids.first()))
}

// HostIDs are what a user and a group inside are outside. They are not ok where
// this process may not give files to them.
func (b *Box) HostIDs(uid, gid int) (hostUID, hostGID int, ok bool) {
	ids := b.ids
	return ids.shiftTo + uid, ids.shiftTo + gid, ids.identity == Shifted && max(uid, gid) < ids.shiftCount
}

// take finds a number that no process uses. The process and all that runs in
// its sandboxes hold the lock, and the kernel lets it go when they are dead.
func (b *Box) take(home string, first int) error {
	assigned := assignedIDs()
	for n := first; n < maxBoxes; n++ {
		ids := b.ids.forBox(n)
		if ids.overlaps(assigned) {
			continue
		}
		dir := filepath.Join(home, strconv.Itoa(n))
		lock, err := lockFolder(dir)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return err
		}
		b.dir, b.lock, b.ids = dir, lock, ids
		return nil
	}
	return fmt.Errorf("all of %d sandboxes are in use", maxBoxes)
}

func lockFolder(dir string) (*os.File, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// makeWork makes the folder of root file systems: in temp, when root asks for
// that. The link says where it is to whoever has to clean up.
func (b *Box) makeWork(temp string) error {
	name := workPrefix + rand.Text()
	b.work = filepath.Join(b.dir, name)
	if b.ids.identity == Shifted && temp != "" && rootsAlone(temp) == nil {
		work := filepath.Join(temp, "kn-lite-"+name)
		if err := os.Symlink(work, b.work); err != nil {
			return err
		}
		b.work = work
	}
	return errors.Join(makeFolder(b.stage()), makeFolder(b.work))
}

func (b *Box) stage() string { return filepath.Join(b.dir, "stage") }

// Own changes owner and mode of a folder that Folder has made, to ids inside.
func (b *Box) Own(ctx context.Context, dir string, mode fs.FileMode, uid, gid int) error {
	if b.ids.identity == Single {
		uid, gid = 0, 0
	}
	return b.Call(ctx, Call{Root: dir, Guest: guestOwn, Args: ownArgs{uint32(mode.Perm()), uid, gid}})
}

// Root makes an empty root file system, owned by the root of the sandbox.
func (b *Box) Root() (string, error) {
	dir := filepath.Join(b.work, rootPrefix+strconv.FormatInt(b.roots.Add(1), 10))
	return dir, b.Folder(dir)
}

// Folder makes a folder of the host that the sandbox's root owns, with its
// parents. It may be there already.
func (b *Box) Folder(dir string) error {
	if err := makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask is
		return err
	}
	if b.ids.identity == Shifted {
		return os.Lchown(dir, b.ids.shiftTo, b.ids.shiftTo)
	}
	return nil
}

// Close removes everything in the box.
func (b *Box) Close(ctx context.Context) error {
	defer b.spawner.end()
	return errors.Join(b.clean(ctx, b.dir, ""), b.lock.Close())
}
