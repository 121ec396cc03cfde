package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// layers are the folders of an Overlay, opened.
type layers struct {
	lower       []int // the lowest first
	upper, work int
}

func openLayers(overlay *Overlay) (l layers, err error) {
	l.upper, l.work = -1, -1
	if len(overlay.Lower) == 0 || len(overlay.Lower) > MaxLower {
		return l, fmt.Errorf("an overlay of %d folders", len(overlay.Lower))
	}
	for _, at := range overlay.Lower {
		fd, err := openFolder(at)
		if err != nil {
			return l, err
		}
		l.lower = append(l.lower, fd)
	}
	if overlay.Upper == "" {
		return l, nil
	}
	if l.upper, err = openFolder(overlay.Upper); err == nil {
		l.work, err = openFolder(overlay.Work)
	}
	return l, err
}

// all are the descriptors that were opened.
func (p places) all() []int {
	out := append([]int{p.stage, p.root}, p.sources...)
	for _, l := range append(p.mounted, p.layers) {
		if len(l.lower) > 0 {
			out = append(append(out, l.lower...), l.upper, l.work)
		}
	}
	return out
}

// mountRoot mounts what is to be the root at the folder at.
func (o *order) mountRoot(at string) error {
	l := o.places.layers
	switch {
	case o.Overlay == nil:
		return mount(byDescriptor(o.places.root), at, "", unix.MS_BIND, "")
	case o.Apart:
		return l.mountApart(at)
	case l.upper < 0:
		return l.mountLower(at)
	}
	if o.Overlay.Fresh {
		if err := l.inherit(); err != nil {
			return err
		}
	}
	data := fmt.Sprintf("%s,upperdir=%s,workdir=%s", l.options(), byDescriptor(l.upper), byDescriptor(l.work))
	return mount("overlay", at, "overlay", 0, data)
}

// options are those that all overlays have. Attributes of the kernel's own are
// named user.…, since no others may be set here.
func (l layers) options() string {
	names := make([]string, len(l.lower))
	for i, fd := range l.lower {
		names[len(names)-1-i] = byDescriptor(fd)
	}
	return "userxattr,lowerdir=" + strings.Join(names, ":")
}

// mountLower mounts what is below the upper folder.
func (l layers) mountLower(at string) error {
	if len(l.lower) == 1 { // the kernel wants two
		return mount(byDescriptor(l.lower[0]), at, "", unix.MS_BIND, "")
	}
	return mount("overlay", at, "overlay", unix.MS_RDONLY, l.options())
}

// mountBelow makes the folder at with what is below the upper folder, and opens it.
func (l layers) mountBelow(at string) (int, error) {
	if err := os.Mkdir(at, 0o755); err != nil {
		return -1, err
	}
	if err := l.mountLower(at); err != nil {
		return -1, err
	}
	fd, err := unix.Open(at, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", at, err)
	}
	return fd, nil
}

func (l layers) mountApart(at string) error {
	if err := mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m"); err != nil {
		return err
	}
	upper, lower := filepath.Join(at, "upper"), filepath.Join(at, "lower")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(lower, 0o755)); err != nil {
		return err
	}
	if err := mount(byDescriptor(l.upper), upper, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return l.mountLower(lower)
}

// setApart mounts the parts of the overlay beside each other in a tree of mounts
// that is nowhere, for enterApart.
func (o *order) setApart() (err error) {
	const at = "apart"
	if err := os.Mkdir(at, 0o755); err != nil {
		return err
	}
	if err := o.places.layers.mountApart(at); err != nil {
		return err
	}
	o.apart, err = unix.OpenTree(unix.AT_FDCWD, at, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("open_tree %s: %w", at, err)
	}
	return nil
}

// enterApart makes what setApart has mounted the root.
func (o *order) enterApart() error {
	if err := unix.Fchdir(o.apart); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	return errors.Join(unix.Chdir("/"), unix.Close(o.apart))
}

// inherit gives the upper folder the looks of the one below it: they are those of
// the root.
func (l layers) inherit() error {
	from, to := byDescriptor(l.lower[len(l.lower)-1]), byDescriptor(l.upper)
	var stat unix.Stat_t
	if err := unix.Stat(from, &stat); err != nil {
		return err
	}
	var names [4096]byte
	n, err := unix.Listxattr(from, names[:])
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	for name := range strings.SplitSeq(string(names[:max(n, 0)]), "\x00") {
		if !strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "user.overlay.") {
			continue
		}
		var value [64 << 10]byte
		n, err := unix.Getxattr(from, name, value[:])
		if err == nil {
			err = unix.Setxattr(to, name, value[:n], 0)
		}
		if err != nil {
			return err
		}
	}
	if err := unix.Chown(to, int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(to, stat.Mode&0o7777); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{stat.Atim, stat.Mtim}, 0)
}

// guestProbe is for a root that is an overlay whose lower part has a folder "old"
// with a file "in". It does what a build may do.
const guestProbe = "probe"

func probeOverlay() error {
	if err := os.RemoveAll("/old"); err != nil {
		return err
	}
	if err := os.Mkdir("/old", 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir("/old")
	if err == nil && len(entries) > 0 {
		err = errors.New("a folder that was removed comes back")
	}
	return err
}

// guestProbeApart runs after guestProbe.
const guestProbeApart = "probe apart"

func probeApart() error {
	if _, err := os.Stat("/lower/old/in"); err != nil {
		return err
	}
	_, err := os.ReadDir("/upper/old")
	return err
}

// Overlays reports whether this machine lets the sandbox mount overlays that
// behave. Open has tried it.
func (b *Box) Overlays() bool { return b.overlays }

// Chains reports whether a Call may have a Then. Open has tried it.
func (b *Box) Chains() bool { return b.chains }

func (b *Box) probeOverlays(ctx context.Context, name string, then *Then) error {
	dir := filepath.Join(b.work, rootPrefix+"probe-"+name+"-"+string(b.ids.identity))
	overlay := &Overlay{Lower: []string{filepath.Join(dir, "lower")}, Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "kernel")}
	old := filepath.Join(overlay.Lower[0], "old")
	for _, at := range []string{dir, overlay.Lower[0], old, overlay.Upper, overlay.Work} {
		if err := b.Folder(at); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(old, "in"), nil, 0o644); err != nil {
		return err
	}
	return b.Call(ctx, Call{Overlay: overlay, Guest: guestProbe, Then: then})
}

// Remove deletes a folder that Folder has made, whoever its files belong to.
func (b *Box) Remove(ctx context.Context, dir string) error {
	if b.ids.identity != Shifted {
		if err := b.Call(ctx, Call{Root: dir, Guest: guestEmpty}); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
