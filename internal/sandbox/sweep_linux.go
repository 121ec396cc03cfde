package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	rootPrefix = "root-"
	workPrefix = "work-"
)

// sweep removes what killed processes have left. What cannot be removed stays
// for the next time.
func (b *Box) sweep(ctx context.Context, home string) {
	entries, err := os.ReadDir(home)
	if err != nil {
		return
	}
	for _, e := range entries {
		dir := filepath.Join(home, e.Name())
		if dir == b.dir || !e.IsDir() {
			continue
		}
		if lock, err := lockFolder(dir); err == nil {
			_ = errors.Join(b.clean(ctx, dir, ""), lock.Close())
		}
	}
}

// clean removes the work folders, but for spare, of a box whose lock is held here.
func (b *Box) clean(ctx context.Context, dir, spare string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), workPrefix) {
			continue
		}
		at := filepath.Join(dir, e.Name())
		work := at
		if target, err := os.Readlink(at); err == nil {
			work = target
		}
		if work == spare {
			continue
		}
		if err := errors.Join(b.remove(ctx, work), os.RemoveAll(at)); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a folder of root file systems, whose files belong to users of
// the sandbox. Root may do that itself; everybody else needs to be its root.
func (b *Box) remove(ctx context.Context, work string) error {
	entries, err := os.ReadDir(work)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if b.ids.identity != Shifted {
		for _, e := range entries {
			if e.IsDir() && strings.HasPrefix(e.Name(), rootPrefix) {
				if err := b.Call(ctx, Call{Root: filepath.Join(work, e.Name()), Guest: guestEmpty}); err != nil {
					return err
				}
			}
		}
	}
	return os.RemoveAll(work)
}

// sweepEarlier closes and removes what versions before this one have left, in
// folders that others could enter: with set-uid programs of builds in them.
func (b *Box) sweepEarlier(ctx context.Context, options Options) {
	folders := []string{filepath.Join(options.Dir, "boxes")}
	if b.ids.identity == Shifted {
		const name = "kn-lite-root"
		folders = append(folders, filepath.Join("/var/tmp", name))
		if options.Temp != "" {
			folders = append(folders, filepath.Join(options.Temp, name))
		}
	}
	for _, dir := range folders {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			continue
		}
		if b.ids.identity == Shifted && rootsAlone(filepath.Dir(dir)) != nil {
			continue // it could become a link while we remove what is in it
		}
		if _, err := privateFolder(dir); err == nil {
			b.removeEarlier(ctx, dir)
		}
	}
}

func (b *Box) removeEarlier(ctx context.Context, dir string) {
	boxes, _ := filepath.Glob(filepath.Join(dir, "box-*"))
	for _, box := range boxes {
		if lock, err := lockFolder(box); err == nil {
			_ = errors.Join(b.remove(ctx, box), lock.Close())
		}
	}
	mounts, _ := filepath.Glob(filepath.Join(dir, "mounts", "*", "*"))
	for _, at := range mounts {
		if b.ids.identity != Shifted && b.Call(ctx, Call{Root: at, Guest: guestEmpty}) != nil {
			continue
		}
		_ = os.RemoveAll(at)
	}
	for _, at := range append([]string{filepath.Join(dir, "mounts", "*")}, filepath.Join(dir, "mounts"), dir) {
		empty, _ := filepath.Glob(at)
		for _, at := range empty {
			_ = os.Remove(at) // a folder that is still in use is not empty
		}
	}
}
