package rootfs

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
	xattrPrefix    = "SCHILY.xattr."
)

// writer puts entries of an archive into the root.
type writer struct {
	singleUser bool
	owner      *[2]int // of everything, instead of the archive's
	mode       *Mode
	// unknown says which names the owner was to have.
	unknown []string
	// merge is for COPY: a folder and a file do not replace each other.
	merge bool
	// ownParents gives owner and mode to folders that have no entry, too.
	ownParents bool
	// replace is for layers: a folder loses what it has from the layers below.
	replace  bool
	times    []entryTime // of folders, to be set when all is there
	linkBase string      // what the names of hard links are relative to
	buffer   []byte      // for contents
	limit    int64       // of the bytes of all files; 0 is none
	written  int64
}

type entryTime struct {
	path string
	at   time.Time
}

func newWriter(singleUser bool, owner string, mode *Mode, linkBase string) (*writer, error) {
	w := &writer{singleUser: singleUser, mode: mode, linkBase: linkBase, buffer: make([]byte, 64<<10)}
	if owner != "" {
		who, err := sandbox.LookupOwner(owner)
		if err != nil {
			return nil, err
		}
		w.owner, w.unknown = &[2]int{int(who.UID), int(who.GID)}, who.Unknown
	}
	return w, nil
}

// unpack applies a layer, or an archive that ADD unpacks. It returns the names in
// args.Owner that nobody has.
func unpack(args UnpackArgs, in io.Reader) (unknown []string, err error) {
	w, err := newWriter(args.SingleUser, args.Owner, nil, "/")
	if err != nil {
		return nil, err
	}
	w.limit, w.replace = args.Limit, args.Layer
	if err := w.mkdirAll(args.Dest, true); err != nil {
		return nil, err
	}
	if !args.Layer {
		// Links in an archive lead to places in its destination, as with Docker.
		if err := errors.Join(unix.Chroot(args.Dest), unix.Chdir("/")); err != nil {
			return nil, fmt.Errorf("enter %s: %w", args.Dest, err)
		}
	}
	var here map[string]bool // what this layer has brought: an opaque marker spares it
	if args.Layer {
		here = map[string]bool{}
	}
	return w.unknown, w.all(in, func(h *tar.Header, content io.Reader) error {
		at := path.Clean("/" + h.Name)
		if at == "/" && !args.Layer && !args.Top {
			return nil // the destination stays as it is
		}
		if args.Layer {
			base := path.Base(at)
			switch {
			case strings.HasPrefix(base, whiteoutPrefix) && !leadsToFolder(path.Dir(at)):
				// Nothing is in it, and to look into a FIFO would wait for its other end.
				return checkWhiteout(at, base)
			case base == opaqueMarker:
				return clearFolder(path.Dir(at), here)
			case strings.HasPrefix(base, whiteoutPrefix):
				if err := checkWhiteout(at, base); err != nil {
					return err
				}
				return os.RemoveAll(path.Join(path.Dir(at), strings.TrimPrefix(base, whiteoutPrefix)))
			}
			for p := at; p != "/"; p = path.Dir(p) {
				here[p] = true
			}
		}
		return w.entry(at, h, content)
	})
}

// checkWhiteout refuses one of the folder that it is in, or of the one above.
func checkWhiteout(at, base string) error {
	switch strings.TrimPrefix(base, whiteoutPrefix) {
	case "", ".", "..":
		return fault.New(fault.Build, "rootfs.unpack", "", "%s deletes no file: the layer is not in order", at)
	}
	return nil
}

// leadsToFolder reports whether at is a folder or a link to one.
func leadsToFolder(at string) bool {
	info, err := os.Stat(at)
	return err == nil && info.IsDir()
}

// all writes the entries of an archive with each.
func (w *writer) all(in io.Reader, each func(*tar.Header, io.Reader) error) error {
	return errors.Join(eachEntry(in, each), w.finish())
}

func clearFolder(dir string, keep map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if at := path.Join(dir, e.Name()); err == nil && !keep[at] {
			err = os.RemoveAll(at)
		}
	}
	return err
}

func eachEntry(in io.Reader, each func(*tar.Header, io.Reader) error) error {
	reader := tar.NewReader(bufio.NewReaderSize(in, 1<<18))
	for {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			// Padding behind the end belongs to the stream.
			_, err = io.Copy(io.Discard, in)
			return err
		}
		if err == nil && h.Typeflag == tar.TypeXGlobalHeader {
			continue // what git archive says of the commit; no file
		}
		if err == nil {
			err = each(h, reader)
		}
		if err != nil {
			return err
		}
	}
}

// entry makes one file, folder or link at the absolute path at.
func (w *writer) entry(at string, h *tar.Header, content io.Reader) error {
	if err := w.mkdirAll(path.Dir(at), w.ownParents); err != nil {
		return err
	}
	old, err := os.Lstat(at)
	exists := err == nil
	if exists && w.merge && old.IsDir() != (h.Typeflag == tar.TypeDir) {
		what := "a file"
		if old.IsDir() {
			what = "a folder"
		}
		if h.Typeflag == tar.TypeDir || old.IsDir() {
			return fault.New(fault.Build, "rootfs.put", "", "%s is %s in the image and cannot be replaced by what is copied", at, what).
				WithHint("copy to another place, or remove it in a RUN before")
		}
	}
	if h.Typeflag == tar.TypeDir {
		return w.putFolder(at, h, old)
	}
	if exists {
		if err := os.RemoveAll(at); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		// A sparse file has few bytes in the archive and as many as it likes here.
		if w.written += h.Size; w.limit > 0 && (w.written > w.limit || h.Size < 0) {
			return fault.New(fault.Build, "rootfs.unpack", "", "%s: the files of the archive have more than %d bytes: it is made to fill the disk", at, w.limit)
		}
		f, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		// Hidden behind the interface is a way of copying that has no use here and
		// allocates a buffer for each file.
		_, err = io.CopyBuffer(struct{ io.Writer }{f}, content, w.buffer)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := os.Symlink(h.Linkname, at); err != nil {
			return err
		}
	case tar.TypeLink:
		return os.Link(path.Join(w.linkBase, path.Clean("/"+h.Linkname)), at)
	case tar.TypeFifo:
		if err := unix.Mkfifo(at, 0o600); err != nil {
			return err
		}
	case tar.TypeChar, tar.TypeBlock:
		return nil // no user namespace makes devices, and /dev is the sandbox's own
	default:
		return fault.New(fault.Build, "rootfs.unpack", "", "%s: an entry of type %q in an archive", at, h.Typeflag)
	}
	return w.looks(at, h)
}

// putFolder makes a folder, or takes over old, which is nil where there is nothing.
func (w *writer) putFolder(at string, h *tar.Header, old fs.FileInfo) error {
	if old != nil && !old.IsDir() {
		if err := os.Remove(at); err != nil {
			return err
		}
		old = nil
	}
	switch {
	case old == nil:
		if err := os.Mkdir(at, 0o700); err != nil {
			return err
		}
	case w.replace:
		if err := dropAttributes(at, h); err != nil {
			return err
		}
	}
	w.times = append(w.times, entryTime{at, h.ModTime})
	return w.looks(at, h)
}

// looks sets owner, mode, attributes and times.
func (w *writer) looks(at string, h *tar.Header) error {
	uid, gid := h.Uid, h.Gid
	if w.owner != nil {
		uid, gid = w.owner[0], w.owner[1]
	}
	link := h.Typeflag == tar.TypeSymlink
	if err := w.chown(at, uid, gid, link); err != nil {
		return err
	}
	if link {
		return nil
	}
	for name, value := range h.PAXRecords {
		attribute, ok := strings.CutPrefix(name, xattrPrefix)
		if !ok || !kept(attribute) {
			continue
		}
		if err := unix.Lsetxattr(at, attribute, []byte(value), 0); err != nil && !errors.Is(err, unix.ENOTSUP) && !w.singleUser {
			return fmt.Errorf("%s: attribute %s: %w", at, attribute, err)
		}
	}
	mode := uint32(h.Mode & 0o7777)
	if w.mode != nil {
		mode = w.mode.Of(mode, h.Typeflag == tar.TypeDir)
	}
	if err := unix.Chmod(at, mode); err != nil {
		return fmt.Errorf("%s: mode: %w", at, err)
	}
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	return os.Chtimes(at, h.ModTime, h.ModTime)
}

// dropAttributes removes those that a folder has and an entry does not name: a layer
// says all there is to say of what it has.
func dropAttributes(at string, h *tar.Header) error {
	var names [4096]byte
	n, err := unix.Llistxattr(at, names[:])
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: attributes: %w", at, err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if _, ok := h.PAXRecords[xattrPrefix+name]; ok || name != ownerAttribute && !kept(name) {
			continue
		}
		if err := unix.Lremovexattr(at, name); err != nil {
			return fmt.Errorf("%s: attribute %s: %w", at, name, err)
		}
	}
	return nil
}

// overlayPrefix begins the attributes that mean something to the kernel in a
// folder of an overlay. No archive sets them.
const overlayPrefix = "user.overlay."

// kept reports whether an image has such an attribute.
func kept(attribute string) bool {
	return attribute == "security.capability" ||
		strings.HasPrefix(attribute, "user.") && attribute != ownerAttribute && !strings.HasPrefix(attribute, overlayPrefix)
}

func (w *writer) chown(at string, uid, gid int, link bool) error {
	if w.singleUser {
		if (uid != 0 || gid != 0) && !link {
			// File systems without attributes lose the owner, as announced.
			_ = unix.Lsetxattr(at, ownerAttribute, fmt.Appendf(nil, "%d:%d", uid, gid), 0)
		}
		return nil
	}
	err := os.Lchown(at, uid, gid)
	if errors.Is(err, unix.EINVAL) {
		return fault.New(fault.Build, "rootfs.owner", "", "%s belongs to %d:%d, and there is no such id in the sandbox: root has those up to 2147483646, other users as many as /etc/subuid and /etc/subgid give them", at, uid, gid)
	}
	return err
}

// mkdirAll makes folders: root's, or with the owner and the mode of what will be
// in them.
func (w *writer) mkdirAll(dir string, own bool) error {
	var missing []string
	for at := path.Clean(dir); at != "/"; at = path.Dir(at) {
		info, err := os.Stat(at)
		if err == nil {
			if !info.IsDir() {
				return fault.New(fault.Build, "rootfs.mkdir", "", "%s is a file, and a folder is needed", at)
			}
			break
		}
		// Below a file there is nothing either; the file itself is next.
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			return err
		}
		missing = append(missing, at)
	}
	for _, at := range slices.Backward(missing) {
		if target, err := os.Readlink(at); err == nil {
			// A link to nowhere: what it means is made.
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(at), target)
			}
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
		if own && w.owner != nil {
			if err := w.chown(at, w.owner[0], w.owner[1], false); err != nil {
				return err
			}
		}
		if own && w.mode != nil && w.mode.octal { // a symbolic one is for what is copied
			if err := unix.Chmod(at, w.mode.bits&0o777); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish sets the times of folders, which every new file has changed.
func (w *writer) finish() error {
	for _, t := range slices.Backward(w.times) {
		if err := os.Chtimes(t.path, t.at, t.at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// prepare makes what is missing and tells what that was, innermost first.
func prepare(args PrepareArgs) (*Prepared, error) {
	if args.Work != "" {
		if _, err := prepare(PrepareArgs{Dirs: []string{args.Work}, Owner: args.WorkOwner, SingleUser: args.SingleUser}); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(args.Dirs, func(at string) bool { _, err := os.Stat(at); return err != nil }) {
		args.Owner = "" // of nothing: no reason to look it up
	}
	w, err := newWriter(args.SingleUser, args.Owner, nil, "/")
	if err != nil {
		return nil, err
	}
	out := &Prepared{Unknown: w.unknown}
	missing := func(at string) {
		for ; at != "/"; at = path.Dir(at) {
			if _, err := os.Stat(at); err == nil {
				return
			}
			out.Made = append(out.Made, at)
		}
	}
	for _, dir := range args.Dirs {
		missing(dir)
		if err := w.mkdirAll(dir, true); err != nil {
			return nil, err
		}
	}
	for _, file := range args.Files {
		if _, err := os.Stat(file); err == nil {
			continue
		}
		missing(file)
		// A dangling link is common for resolv.conf: its target is made.
		real := file
		if target, err := os.Readlink(file); err == nil {
			if real = target; !filepath.IsAbs(target) {
				real = path.Join(path.Dir(file), target)
			}
			missing(real)
		}
		if err := w.mkdirAll(path.Dir(real), true); err != nil {
			return nil, err
		}
		if err := os.WriteFile(real, nil, 0o644); err != nil {
			return nil, err
		}
	}
	// The innermost first.
	slices.SortStableFunc(out.Made, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	out.Made = slices.Compact(out.Made)
	return out, nil
}
