package runtime

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// ownAll gives the files below name to the containers' root, but for those that
// containers have made. No link is followed, and none out of root can be.
func (g *group) ownAll(root *os.Root, name string, group int) error {
	identity, _ := g.r.box.Identity()
	if identity == sandbox.Single {
		return nil // there is one user, and it is ours
	}
	return fs.WalkDir(root.FS(), name, func(at string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := root.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || int(stat.Uid) != os.Geteuid() {
			return nil
		}
		uid, gid, ok := g.r.box.HostIDs(0, max(group, 0))
		if !ok {
			return nil
		}
		err = root.Lchown(at, uid, gid)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	})
}
