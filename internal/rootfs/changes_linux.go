package rootfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The parts of an overlay, as GuestChanges sees them.
const upperFolder, lowerFolder = "/upper", "/lower"

// comparison finds what an overlay's upper folder changes in what is below.
type comparison struct {
	singleUser bool
	epoch      time.Time
	files      map[string]*file // in the upper folder, by path in the image
	entries    map[string]bool  // what a layer tells: path → it is gone
}

// changes writes a layer with what is different above, and walks nothing else.
func changes(args ChangesArgs, out io.Writer) (ChangesReply, error) {
	for _, at := range args.Remove {
		// A mount point that got content is the user's now.
		_ = removeEmpty(upperFolder + at)
	}
	c := &comparison{singleUser: args.SingleUser, epoch: args.Epoch, files: map[string]*file{}, entries: map[string]bool{}}
	if err := c.root(); err != nil {
		return ChangesReply{}, err
	}
	reply := ChangesReply{Entries: len(c.entries)}
	for _, f := range c.files {
		reply.Bytes += f.stat.Blocks * 512
	}
	if args.Count {
		return reply, nil
	}
	return reply, writeChanges(out, upperFolder, c.entries, c.files)
}

func (c *comparison) root() error {
	info, err := os.Lstat(upperFolder)
	if err != nil {
		return err
	}
	if err := c.compare("/", info, true); err != nil {
		return err
	}
	return c.folder("/", true, false)
}

// folder compares the folder at. What is below counts where that has a folder,
// too: no link there is followed. Of a hidden one nothing shows.
func (c *comparison) folder(at string, below, hidden bool) error {
	entries, err := os.ReadDir(upperFolder + at)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
		info, err := e.Info()
		if err != nil {
			return err
		}
		at := path.Join(at, e.Name())
		if err := c.compare(at, info, below); err != nil {
			return err
		}
		if !info.IsDir() {
			continue
		}
		old := below && isFolder(lowerFolder+at)
		if err := c.folder(at, old, hidden || isOpaque(upperFolder+at)); err != nil {
			return err
		}
	}
	if !below || !hidden {
		return nil
	}
	gone, err := os.ReadDir(lowerFolder + at)
	for _, e := range gone {
		if !names[e.Name()] && e.Type()&fs.ModeSocket == 0 {
			c.entries[path.Join(at, e.Name())] = true
		}
	}
	return err
}

func isFolder(at string) bool {
	info, err := os.Lstat(at)
	return err == nil && info.IsDir()
}

// compare notes whether the file at is another one than before.
func (c *comparison) compare(at string, info fs.FileInfo, below bool) error {
	old, err := c.before(at, below)
	if err != nil {
		return err
	}
	f, err := look(upperFolder+at, info, c.singleUser)
	if err != nil {
		return err
	}
	if f.mode&fs.ModeSocket != 0 || f.mode&fs.ModeCharDevice != 0 && f.stat.Rdev == 0 {
		// Sockets end with their process; the device 0:0 is how an overlay says that
		// a file is gone.
		if old != nil {
			c.entries[at] = true
		}
		return nil
	}
	c.files[at] = f
	same, err := c.same(at, old, f)
	if !same {
		c.entries[at] = false
	}
	return err
}

// before returns what was at a path; nil is nothing.
func (c *comparison) before(at string, below bool) (*file, error) {
	if !below {
		return nil, nil
	}
	info, err := os.Lstat(lowerFolder + at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || info.Mode()&fs.ModeSocket != 0 {
		return nil, err
	}
	return look(lowerFolder+at, info, c.singleUser)
}

// same reports whether a layer would tell the same about both.
func (c *comparison) same(at string, old, f *file) (bool, error) {
	if old == nil || old.looks(c.epoch) != f.looks(c.epoch) {
		return false, nil
	}
	if !f.mode.IsRegular() {
		return true, nil
	}
	return sameContent(lowerFolder+at, upperFolder+at)
}

func sameContent(a, b string) (same bool, err error) {
	f, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer g.Close()
	var left, right [64 << 10]byte
	for {
		n, err := io.ReadFull(f, left[:])
		m, otherErr := io.ReadFull(g, right[:])
		if !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		for _, err := range []error{err, otherErr} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return false, err
			}
		}
		if n < len(left) {
			return true, nil
		}
	}
}

func isOpaque(dir string) bool {
	var value [1]byte
	n, err := unix.Lgetxattr(dir, overlayPrefix+"opaque", value[:])
	return err == nil && n == 1 && value[0] == 'y'
}

// writeChanges writes the layer of entries, whose files are below root, with the
// folders that they stand in and with the other names of the same file.
func writeChanges(out io.Writer, root string, entries map[string]bool, files map[string]*file) error {
	addLinks(entries, files)
	paths := make([]string, 0, len(entries))
	for at, gone := range entries {
		if err := checkName(at); err != nil && !gone {
			return err
		}
		paths = append(paths, at)
	}
	for _, at := range paths {
		for dir := path.Dir(at); dir != "/"; dir = path.Dir(dir) {
			if _, ok := entries[dir]; ok {
				break // the folders above it are there, or will be for its own sake
			}
			entries[dir] = false
			paths = append(paths, dir)
		}
	}
	slices.Sort(paths)
	w := newArchive(out)
	for _, at := range paths {
		var err error
		name := strings.TrimPrefix(at, "/")
		switch {
		case entries[at]:
			err = w.whiteout(name)
		case at == "/":
			err = w.add("./", root, files["/"])
		default:
			err = w.add(name, filepath.Join(root, at), files[at])
		}
		if err != nil {
			return err
		}
	}
	return w.close()
}

// addLinks adds the other names of files that are in entries: a layer tells of
// all of them or of none.
func addLinks(entries map[string]bool, files map[string]*file) {
	told := map[uint64]bool{}
	for at, gone := range entries {
		if f := files[at]; !gone && f != nil && f.mode.IsRegular() && f.stat.Nlink > 1 {
			told[f.stat.Ino] = true
		}
	}
	for at, f := range files {
		if f.mode.IsRegular() && told[f.stat.Ino] {
			entries[at] = false
		}
	}
}
