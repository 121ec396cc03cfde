package key

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

// Folder describes each file of f: path → mode and digest of the content, or
// the target of a link. Digests of files that have not changed come from cache.
func Folder(ctx context.Context, f lang.Folder, cache *Cache) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(f.Dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(f.Dir, at)
		if err != nil || rel == "." {
			return err
		}
		name := filepath.ToSlash(rel)
		if f.Skip != nil {
			if out, prune := f.Skip(name, entry.IsDir()); out {
				if prune && entry.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
		}
		switch mode := entry.Type(); {
		case mode.IsDir():
			if f.Dirs {
				files[name] = "folder"
			}
		case mode.IsRegular():
			files[name], err = describe(at, cache)
		case mode == fs.ModeSymlink:
			files[name], err = link(f, at, cache)
		}
		// FIFOs, sockets and devices get into no image.
		return err
	})
	return files, err
}

// File describes one file; one that is not there has a description too.
func File(path string, cache *Cache) (string, error) {
	text, err := describe(path, cache)
	if errors.Is(err, fs.ErrNotExist) {
		return "missing", nil
	}
	return text, err
}

// describe is the mode, as far as it gets into images, and the content.
func describe(at string, cache *Cache) (string, error) {
	info, err := os.Stat(at)
	if err != nil {
		return "", err
	}
	digest, err := cache.Digest(at, info)
	if err != nil {
		return "", err
	}
	if info.Mode()&0o111 != 0 {
		return "executable " + digest, nil
	}
	return "file " + digest, nil
}

// link describes a link by its target, or where links are followed by what is
// there: absolute targets are not the same on two machines.
func link(f lang.Folder, at string, cache *Cache) (string, error) {
	if !f.Follow {
		target, err := os.Readlink(at)
		return "link to " + filepath.ToSlash(target), err
	}
	info, err := os.Stat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "link to nothing", nil
	case err != nil:
		return "", err
	case info.Mode().IsRegular():
		content, err := describe(at, cache)
		return "link to " + content, err
	case !info.IsDir():
		return "link to what is no file", nil
	}
	below, err := within(f.Dir, at)
	if err != nil {
		return "", fmt.Errorf("%s is a link to a folder elsewhere, which the key does not follow", filepath.Base(at))
	}
	return "link to " + below, nil
}

// within is what the link at leads to, relative to dir. It is an error when
// that is not below dir.
func within(dir, at string) (string, error) {
	real, err := filepath.EvalSymlinks(at)
	if err != nil {
		return "", err
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(root, real)
	if err == nil && (rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator))) {
		err = fs.ErrInvalid
	}
	return filepath.ToSlash(rel), err
}

// hashFile reads the file that info is about. O_NONBLOCK keeps a FIFO that has
// taken its place from blocking the open.
func hashFile(at string, info fs.FileInfo) (digest string, err error) {
	f, err := os.OpenFile(at, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	now, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !now.Mode().IsRegular() || !os.SameFile(now, info) {
		return "", fmt.Errorf("%s: the file changed while it was read", at)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
