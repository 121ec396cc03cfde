package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s %s on %s: %w", kind, source, target, err)
	}
	return nil
}

// places are folders of the host, opened.
type places struct {
	stage   int // a tmpfs of our own, mounted on order.Stage
	root    int
	layers  layers
	sources []int // of the command's mounts; -1 for those that have none
	mounted []layers
}

// reach opens what is on the host, as who we are there: the folders on the way
// are closed to the sandbox's users.
func (o *order) reach() error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", o.Stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0711,size=64m,uid=0,gid=0"); err != nil {
		return err
	}
	var err error
	if o.places.stage, err = openFolder(o.Stage); err != nil {
		return err
	}
	o.places.root = -1
	if o.Overlay != nil {
		o.places.layers, err = openLayers(o.Overlay)
	} else {
		o.places.root, err = openFolder(o.Root)
	}
	if err != nil || o.Command == nil {
		return err
	}
	for _, m := range o.Command.Mounts {
		fd, below := -1, layers{}
		if m.Overlay != nil {
			below, err = openLayers(m.Overlay)
		} else if m.Source != "" {
			fd, err = openFolder(m.Source)
		}
		if err != nil {
			return err
		}
		o.places.sources = append(o.places.sources, fd)
		o.places.mounted = append(o.places.mounted, below)
	}
	return nil
}

func openFolder(at string) (int, error) {
	fd, err := unix.Open(at, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", at, err)
	}
	return fd, nil
}

// byDescriptor is a path to an open file, whatever is closed on its usual one.
func byDescriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// enter makes Root the root. before runs while the working folder is the stage
// in the host's tree, after when / is Root and the working folder is still the
// stage: a mount from a relative path to an absolute one brings something in,
// and every link on its way is followed inside of Root. Nothing of the host is
// reachable afterwards.
func (o *order) enter(before, after func() error) error {
	if err := unix.Fchdir(o.places.stage); err != nil {
		return err
	}
	if err := os.Mkdir("root", 0o755); err != nil {
		return err
	}
	if err := o.mountRoot("root"); err != nil {
		return err
	}
	old, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := before(); err != nil {
		return err
	}
	if err := unix.Chdir("root"); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Fchdir(o.places.stage); err != nil {
		return err
	}
	if err := after(); err != nil {
		return err
	}
	if err := unix.Fchdir(old); err != nil {
		return err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the host's files: %w", err)
	}
	for _, fd := range append(o.places.all(), old) {
		if fd >= 0 {
			if err := unix.Close(fd); err != nil {
				return err
			}
		}
	}
	return unix.Chdir("/")
}

// system builds proc, dev and sys in the working folder.
func (o *order) system() error {
	for _, dir := range []string{"proc", "dev", "sys"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := o.proc(); err != nil {
		return err
	}
	// What is in /sys describes the host; programs cope without.
	if err := mount("tmpfs", "sys", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RDONLY, "mode=0555,size=4k"); err != nil {
		return err
	}
	return devices()
}

func (o *order) proc() error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", "proc", "proc", flags, ""); err != nil {
		if !o.Shifted {
			return fmt.Errorf("mount /proc: %w (parts of the host's /proc are hidden, as in a container)", err)
		}
		// Processes of the outside show, and their environments do not: none of
		// them belongs to a user of the sandbox.
		if err := mount("/proc", "proc", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	// From Linux 6.14 on it is the number of processes in here, whoever's they are;
	// before, only the host's root could change it.
	_ = os.WriteFile("proc/sys/kernel/pid_max", strconv.AppendInt(nil, int64(o.processes()), 10), 0)
	for _, name := range []string{"bus", "fs", "irq", "sys", "sysrq-trigger", "acpi", "scsi"} {
		at := filepath.Join("proc", name)
		if _, err := os.Lstat(at); err != nil {
			continue
		}
		if err := mount(at, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
		if err := mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|flags, ""); err != nil {
			return err
		}
	}
	for _, name := range []string{"kcore", "keys", "key-users", "latency_stats", "timer_list", "timer_stats", "sched_debug", "kmsg", "kallsyms"} {
		at := filepath.Join("proc", name)
		if _, err := os.Lstat(at); err != nil {
			continue
		}
		if err := mount("/dev/null", at, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// devices builds a /dev with what programs count on and nothing else.
func devices() error {
	if err := mount("tmpfs", "dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755,size=1m"); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		at := filepath.Join("dev", name)
		if err := os.WriteFile(at, nil, 0o666); err != nil {
			return err
		}
		if err := mount("/dev/"+name, at, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	for _, dir := range []string{"pts", "shm", "mqueue", "pipes"} {
		if err := os.Mkdir(filepath.Join("dev", dir), 0o755); err != nil {
			return err
		}
	}
	if err := mount("devpts", "dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return err
	}
	if err := mount("tmpfs", "dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=1777,size=64m"); err != nil {
		return err
	}
	// Not every kernel has POSIX message queues.
	if err := mount("mqueue", "dev/mqueue", "mqueue", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil && !errors.Is(err, unix.ENODEV) {
		return err
	}
	for link, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, filepath.Join("dev", link)); err != nil {
			return err
		}
	}
	return nil
}

// gather brings the sources of the command's mounts into the working folder.
func (o *order) gather() error {
	for i, m := range o.Command.Mounts {
		at := "m" + strconv.Itoa(i)
		switch {
		case m.Overlay != nil:
			fd, err := o.places.mounted[i].mountBelow(at + "-layers")
			if err != nil {
				return err
			}
			o.places.sources[i] = fd
			if err := gatherFolder(at, fd, m); err != nil {
				return err
			}
		case m.Source != "":
			if err := gatherFolder(at, o.places.sources[i], m); err != nil {
				return err
			}
		case m.Content != nil:
			if err := os.WriteFile(at, m.Content, 0o600); err != nil {
				return err
			}
			if err := os.Chown(at, m.UID, m.GID); err != nil && !o.Single {
				return err
			}
			if err := os.Chmod(at, m.Mode); err != nil {
				return err
			}
		}
	}
	return nil
}

// place puts everything at its place in the new root.
func (o *order) place() error {
	for _, dir := range []string{"proc", "dev", "sys"} {
		if err := mount(dir, "/"+dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	for i, m := range o.Command.Mounts {
		at := "m" + strconv.Itoa(i)
		flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV)
		if err := m.stub(); err != nil {
			return fmt.Errorf("mount point %s: %w", m.Target, err)
		}
		if m.Source == "" && m.Overlay == nil && m.Content == nil {
			data := fmt.Sprintf("mode=%o,uid=%d,gid=%d", m.Mode, m.UID, m.GID)
			if m.Size > 0 {
				data += fmt.Sprintf(",size=%d", m.Size)
			}
			if err := mount("tmpfs", m.Target, "tmpfs", flags, data); err != nil {
				return err
			}
			continue
		}
		if err := mount(at, m.Target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		if m.ReadOnly {
			flags |= unix.MS_RDONLY
		}
		if err := restrict(m.Target, flags); err != nil {
			return err
		}
	}
	// The working folder may be in one of the mounts, which hide what is below them.
	if _, err := os.Stat(o.Command.Dir); err == nil || o.Command.Dir == "" {
		return nil
	}
	return os.MkdirAll(o.Command.Dir, 0o755)
}

// restrict adds flags to those that the mount at target has: what the host's
// file system is mounted with cannot be taken away here.
func restrict(target string, flags uintptr) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(target, &disk); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	// The flags of statfs and of mount have the same values, these here at least.
	const same = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME
	return mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|uintptr(disk.Flags)&same|flags, "")
}

// stub makes something to mount on where there is nothing: in the folders that
// were mounted just now, that is; the root itself has been prepared.
func (m Mount) stub() error {
	if _, err := os.Stat(m.Target); err == nil {
		return nil
	}
	if m.Content == nil && !m.File {
		return os.MkdirAll(m.Target, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(m.Target), 0o755); err != nil {
		return err
	}
	return os.WriteFile(m.Target, nil, 0o644)
}

// gatherFolder binds m's source, which is open as fd, to at in the working folder.
func gatherFolder(at string, fd int, m Mount) error {
	whole := byDescriptor(fd)
	root, err := os.OpenRoot(whole)
	if err != nil {
		return err
	}
	defer root.Close()
	source, file := whole, false
	if m.Sub != "" && m.Sub != "/" {
		// What is in Source is not trusted: a link in it must not lead to the host.
		name := strings.TrimPrefix(m.Sub, "/")
		f, err := root.Open(name)
		if err != nil {
			return fault.New(fault.Build, "sandbox.mount", "", "%s: nothing to mount at %s: %w", m.Target, m.Sub, err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		file = !info.IsDir()
		source = byDescriptor(int(f.Fd()))
	}
	if file {
		err = os.WriteFile(at, nil, 0o644)
	} else {
		err = os.Mkdir(at, 0o755)
	}
	if err != nil {
		return err
	}
	return mount(source, at, "", unix.MS_BIND, "")
}
