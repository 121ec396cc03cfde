package rootfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inRoot runs do with dir as its root folder, as a sandbox does, on a thread of its own
// that ends with it. Nothing that do opens by a path is outside of dir.
func inRoot(t testing.TB, dir string, do func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, only root changes the root folder of a thread")
	}
	marker := ".root-of-" + filepath.Base(filepath.Dir(dir)) + "-" + filepath.Base(dir)
	if err := os.WriteFile(filepath.Join(dir, marker), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread goes with the goroutine
		err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Chroot(dir), unix.Chdir("/"))
		if err == nil {
			err = os.Remove("/" + marker) // which is in no other root folder
		}
		if err != nil {
			ended <- fmt.Errorf("not in the root folder: %w", err)
			return
		}
		unix.Umask(0)
		defer func() {
			if p := recover(); p != nil {
				ended <- fmt.Errorf("panic: %v", p)
			}
		}()
		ended <- do()
	}()
	select {
	case err := <-ended:
		return err
	case <-time.After(10 * time.Second):
		return errors.New("hangs")
	}
}

// node is what is at a path of a tree.
type node struct {
	Type     byte // of tar
	Mode     int64
	UID, GID int
	Content  string // of a file, or where a link leads
	Time     int64  // of all but folders and links
	Attrs    string
	Same     string // the first path of the same file, where it has several
}

// readTree reads all that is below dir.
func readTree(t testing.TB, dir string) map[string]node {
	t.Helper()
	tree, inodes := map[string]node{}, map[uint64]string{}
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		name, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		tree[name], err = readNode(at, name, info, inodes)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func readNode(at, name string, info fs.FileInfo, inodes map[uint64]string) (n node, err error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return n, errors.New("no stat")
	}
	n = node{Mode: int64(stat.Mode & 0o7777), UID: int(stat.Uid), GID: int(stat.Gid), Time: info.ModTime().Unix()}
	if n.Attrs, err = readAttrs(at); err != nil {
		return n, err
	}
	switch info.Mode().Type() {
	case 0:
		n.Type = tar.TypeReg
		content, err := os.ReadFile(at)
		if err != nil {
			return n, err
		}
		n.Content = string(content)
		if stat.Nlink > 1 {
			if inodes[stat.Ino] == "" {
				inodes[stat.Ino] = name
			}
			n.Same = inodes[stat.Ino]
		}
	case fs.ModeDir:
		n.Type, n.Time = tar.TypeDir, 0
	case fs.ModeSymlink:
		n.Type, n.Time, n.Mode = tar.TypeSymlink, 0, 0
		n.Content, err = os.Readlink(at)
	case fs.ModeNamedPipe:
		n.Type = tar.TypeFifo
	default:
		n.Type = '?'
	}
	return n, err
}

func readAttrs(at string) (string, error) {
	var names [4096]byte
	n, err := unix.Llistxattr(at, names[:])
	if err != nil || n == 0 {
		return "", nil //nolint:nilerr // a file system without attributes has none
	}
	var out []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		var value [256]byte
		n, err := unix.Lgetxattr(at, name, value[:])
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(name, "user.") {
			out = append(out, name+"="+string(value[:n]))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " "), nil
}

// when is the time of files in tests.
func when() time.Time { return time.Unix(1_700_000_000, 0) }

// Entries of archives, with what is usual.

func file1(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Linkname: content, ModTime: when()}
}

func dir1(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755, ModTime: when()}
}

func link1(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, ModTime: when()}
}

func same1(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, ModTime: when()}
}

// with changes a header.
func with(h tar.Header, change func(*tar.Header)) tar.Header {
	change(&h)
	return h
}

// archiveOf makes a tar; the content of a file is its Linkname.
func archiveOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// applyLayers unpacks layers on top of each other.
func applyLayers(t testing.TB, dir string, singleUser bool, layers ...[]byte) error {
	t.Helper()
	return inRoot(t, dir, func() error {
		for _, l := range layers {
			if _, err := unpack(UnpackArgs{Dest: "/", Layer: true, SingleUser: singleUser}, bytes.NewReader(l)); err != nil {
				return err
			}
		}
		return nil
	})
}

// namesOf are the paths of a tree, sorted, folders with a slash.
func namesOf(tree map[string]node) string {
	var out []string
	for name, n := range tree {
		if n.Type == tar.TypeDir {
			name += "/"
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// below returns the part of a tree that is in a folder.
func below(tree map[string]node, dir string) map[string]node {
	out := map[string]node{}
	for name, n := range tree {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			n.Same = strings.TrimPrefix(n.Same, dir+"/")
			out[rest] = n
		}
	}
	return out
}

// entriesOf lists an archive: type, name and target of each entry.
func entriesOf(t testing.TB, archive []byte) []string {
	t.Helper()
	var out []string
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%c %s %s", h.Typeflag, path.Clean(h.Name), h.Linkname)))
	}
}
