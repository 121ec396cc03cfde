package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// homeName is the folder of all sandboxes of a user. Nobody else may enter it: a
// build makes set-uid programs, and its files are as secret as its sources.
const homeName = "sandboxes"

// openHome returns the folder that sandboxes are made in, with mode 0700. It is
// below dir; where others could replace it there, or root's sandboxes cannot
// get there, it is below /var/tmp.
func (m mapping) openHome(dir string) (string, error) {
	if m.identity != Shifted {
		return privateFolder(filepath.Join(dir, homeName))
	}
	err := rootsAlone(dir)
	if err == nil {
		home, homeErr := privateFolder(filepath.Join(dir, homeName))
		if homeErr == nil {
			homeErr = openToOwner(dir)
		}
		if homeErr == nil {
			return home, nil
		}
		err = homeErr
	}
	home, tempErr := privateFolder("/var/tmp/kn-lite-" + homeName)
	if tempErr != nil {
		return "", errors.Join(err, tempErr)
	}
	return home, nil
}

// privateFolder makes dir with its parents, or closes one that is there already:
// earlier versions, and other umasks, left it open.
func privateFolder(dir string) (string, error) {
	if err := makeFolder(dir); err != nil {
		return "", err
	}
	// By its descriptor: who may write to the parent could exchange it meanwhile.
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("%s is not a folder of yours: %w", dir, err)
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	if !ownedBy(f.Stat, os.Geteuid()) {
		return "", fmt.Errorf("%s belongs to another user", dir)
	}
	return dir, f.Chmod(0o700)
}

// makeFolder makes dir and its parents with mode 0700, whatever the umask is. It
// may be there already.
func makeFolder(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeFolder(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// openToOwner lets root into folders that are closed to root itself: a umask such
// as 0777 makes them, and inside of a sandbox root has only the owner's rights.
func openToOwner(dir string) error {
	for at := dir; at != "/"; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if mode := info.Mode(); mode&0o100 == 0 {
			if err := os.Chmod(at, mode|0o700); err != nil {
				return err
			}
		}
	}
	return nil
}

func ownedBy(stat func() (fs.FileInfo, error), uid int) bool {
	info, err := stat()
	if err != nil {
		return false
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(sys.Uid) == uid
}

// rootsAlone reports why root's sandboxes may not live below dir: another user
// could exchange it or a folder above it, or programs do not run there as they
// do elsewhere. What is not there yet will be root's.
func rootsAlone(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%q is not an absolute path", dir)
	}
	at := filepath.Clean(dir)
	for {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			at = real
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || at == "/" {
			return err
		}
		at = filepath.Dir(at)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(at, &disk); err != nil {
		return err
	}
	if disk.Flags&(unix.ST_NOEXEC|unix.ST_NOSUID|unix.ST_RDONLY) != 0 {
		return fmt.Errorf("%s is mounted noexec, nosuid or read-only", at)
	}
	for ; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		others := info.Mode()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0
		if !info.IsDir() || others || !ownedBy(func() (fs.FileInfo, error) { return info, nil }, 0) {
			return fmt.Errorf("%s is not a folder of root's alone", at)
		}
		if at == "/" {
			return nil
		}
	}
}
