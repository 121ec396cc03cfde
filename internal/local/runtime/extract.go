package runtime

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// extractLayer unpacks a layer below root as this user. Devices, set-uid bits and,
// unless this is root, owners are left out. Absolute links become relative ones, which stay below root.
func extractLayer(ctx context.Context, root *os.Root, l v1.Layer) error {
	size, err := l.Size()
	if err != nil {
		return err
	}
	content, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer content.Close()
	source := &limited{in: content, left: max(bombSize, size*bombRatio)}
	archive := tar.NewReader(source)
	for ctx.Err() == nil {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// The digest is checked at the end of what was sent.
			_, err = io.Copy(io.Discard, source)
			return err
		}
		if err != nil {
			return err
		}
		if err := extract(root, header, archive); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
	return ctx.Err()
}

func extract(root *os.Root, header *tar.Header, content io.Reader) error {
	name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
	if name == "" {
		return nil
	}
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if base == ".wh..wh..opq" {
		return clearFolder(root, dir)
	}
	if hidden, ok := strings.CutPrefix(base, ".wh."); ok {
		return root.RemoveAll(path.Join(dir, hidden))
	}
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(header.Mode).Perm()
	if header.Typeflag == tar.TypeDir {
		if info, err := root.Lstat(name); err == nil && info.IsDir() {
			return root.Chmod(name, mode|0o700)
		}
	}
	if err := root.RemoveAll(name); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeLink {
		return root.Link(strings.TrimPrefix(path.Clean("/"+header.Linkname), "/"), name)
	}
	err := makeFile(root, name, mode, header, content)
	if errors.Is(err, errNoFile) {
		return nil
	}
	if err == nil && os.Geteuid() == 0 {
		// A root that knows few ids, as in some containers, keeps everything.
		if err = root.Lchown(name, header.Uid, header.Gid); errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) {
			err = nil
		}
	}
	return err
}

// errNoFile is for devices and pipes.
var errNoFile = errors.New("neither a file nor a folder nor a link")

func makeFile(root *os.Root, name string, mode fs.FileMode, header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return root.Mkdir(name, mode|0o700)
	case tar.TypeSymlink:
		target := header.Linkname
		if path.IsAbs(target) {
			target = path.Join(".", strings.Repeat("../", strings.Count(name, "/")), path.Clean(target))
		}
		return root.Symlink(target, name)
	case tar.TypeReg:
		return write(root, name, mode|0o600, content)
	}
	return errNoFile
}

func write(root *os.Root, name string, mode fs.FileMode, content io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// clearFolder removes what is in a folder.
func clearFolder(root *os.Root, dir string) error {
	entries, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := root.RemoveAll(path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
