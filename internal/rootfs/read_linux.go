package rootfs

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/pattern"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// file is what a layer tells about a path.
type file struct {
	stat       syscall.Stat_t
	mode       fs.FileMode
	link       string
	attributes map[string]string
	uid, gid   int
}

func look(at string, info fs.FileInfo, singleUser bool) (*file, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%s: no stat", at)
	}
	f := &file{stat: *stat, mode: info.Mode(), uid: int(stat.Uid), gid: int(stat.Gid)}
	if f.mode.Type() == fs.ModeSymlink {
		link, err := os.Readlink(at)
		f.link = link
		return f, err
	}
	return f, f.readAttributes(at, singleUser)
}

func (f *file) readAttributes(at string, singleUser bool) error {
	var names [4096]byte
	n, err := unix.Llistxattr(at, names[:])
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: attributes: %w", at, err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		owner := singleUser && name == ownerAttribute
		if !owner && !kept(name) {
			continue
		}
		var value [64 << 10]byte
		n, err := unix.Lgetxattr(at, name, value[:])
		if err != nil {
			return fmt.Errorf("%s: attribute %s: %w", at, name, err)
		}
		if owner {
			if _, err := fmt.Sscanf(string(value[:n]), "%d:%d", &f.uid, &f.gid); err != nil {
				f.uid, f.gid = 0, 0
			}
			continue
		}
		if f.attributes == nil {
			f.attributes = map[string]string{}
		}
		f.attributes[name] = string(value[:n])
	}
	return nil
}

// looks is what a layer tells about a file besides its content. Of folders, the
// time does not count: it is told when something in them has changed.
func (f *file) looks(epoch time.Time) string {
	h := sha256.New()
	fmt.Fprint(h, f.mode, f.uid, ":", f.gid, f.link)
	if !f.mode.IsDir() {
		at := fileTime(f.stat.Mtim)
		if at.After(epoch) {
			at = epoch
		}
		fmt.Fprint(h, " ", f.stat.Size, at.Unix())
	}
	for _, name := range sortedKeys(f.attributes) {
		fmt.Fprintf(h, " %q=%q", name, f.attributes[name])
	}
	return base64.RawStdEncoding.EncodeToString(h.Sum(nil)[:12])
}

// mark describes the file at. Its content is read unless old has the same stamp.
func (f *file) mark(at string, epoch time.Time, old Mark) (Mark, error) {
	m := Mark{Looks: f.looks(epoch)}
	if !f.mode.IsRegular() {
		return m, nil
	}
	m.Stamp = fmt.Sprint(f.stat.Ino, " ", f.stat.Size, " ", f.stat.Mtim.Nano(), " ", f.stat.Ctim.Nano())
	if m.Stamp == old.Stamp {
		m.Content = old.Content
		return m, nil
	}
	content, err := os.Open(at)
	if err != nil {
		return m, err
	}
	defer content.Close()
	h := sha256.New()
	_, err = io.Copy(h, content)
	m.Content = base64.RawStdEncoding.EncodeToString(h.Sum(nil))
	return m, err
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// scan looks at every path of the root. Of files that old has as they are, the
// content is not read.
func scan(singleUser bool, epoch time.Time, old State) (State, map[string]*file, error) {
	state, files := State{}, map[string]*file{}
	err := filepath.WalkDir("/", func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.Type()&fs.ModeSocket != 0 {
			return nil // sockets end with their process
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		f, err := look(at, info, singleUser)
		if err != nil {
			return err
		}
		files[at] = f
		state[at], err = f.mark(at, epoch, old[at])
		return err
	})
	return state, files, err
}

// diff writes a layer with what is different from the state on in.
func diff(args DiffArgs, in io.Reader, out io.Writer) (State, error) {
	var old State
	if err := json.NewDecoder(in).Decode(&old); err != nil {
		return nil, err
	}
	for _, at := range args.Remove {
		// A mount point that got content is the user's now.
		_ = removeEmpty(at)
	}
	state, files, err := scan(args.SingleUser, args.Epoch, old)
	if err != nil {
		return nil, err
	}
	entries := map[string]bool{} // path → it is gone
	for at, m := range state {
		before, ok := old[at]
		if !ok || m.Looks != before.Looks || m.Content != before.Content {
			entries[at] = false
		}
	}
	for at := range old {
		if _, ok := state[at]; ok || at == "/" {
			continue
		}
		if parent := files[path.Dir(at)]; parent != nil && parent.mode.IsDir() {
			entries[at] = true
		}
	}
	return state, writeChanges(out, "/", entries, files)
}

func checkName(at string) error {
	if strings.HasPrefix(path.Base(at), whiteoutPrefix) {
		return fault.New(fault.Build, "rootfs.diff", "", "%s: names that begin with .wh. delete files when an image is unpacked", at)
	}
	return nil
}

func removeEmpty(at string) error {
	info, err := os.Lstat(at)
	if err != nil || info.Mode().IsRegular() && info.Size() > 0 {
		return err
	}
	return os.Remove(at)
}

// archive writes files with all that a layer tells about them.
type archive struct {
	disk  *bufio.Writer
	tar   *tar.Writer
	links map[uint64]string // inode → first name
}

func newArchive(out io.Writer) *archive {
	disk := bufio.NewWriterSize(out, 1<<18)
	return &archive{disk: disk, tar: tar.NewWriter(disk), links: map[uint64]string{}}
}

func (a *archive) close() error { return errors.Join(a.tar.Close(), a.disk.Flush()) }

// whiteout says that the file of that name is gone.
func (a *archive) whiteout(name string) error {
	dir, base := path.Split(name)
	return a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: dir + whiteoutPrefix + base, Mode: 0o644})
}

// add writes the file at under name.
func (a *archive) add(name, at string, f *file) error {
	h := &tar.Header{Name: name, Mode: int64(f.stat.Mode & 0o7777), Uid: f.uid, Gid: f.gid, ModTime: fileTime(f.stat.Mtim)}
	for attribute, value := range f.attributes {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[xattrPrefix+attribute] = value
	}
	switch {
	case f.mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, strings.TrimSuffix(name, "/")+"/"
	case f.mode.Type() == fs.ModeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
	case f.mode.Type() == fs.ModeNamedPipe:
		h.Typeflag = tar.TypeFifo
	case f.mode.IsRegular():
		if f.stat.Nlink > 1 {
			if first, ok := a.links[f.stat.Ino]; ok {
				h.Typeflag, h.Linkname, h.PAXRecords = tar.TypeLink, first, nil
				return a.tar.WriteHeader(h)
			}
			a.links[f.stat.Ino] = name
		}
		return a.content(at, h, f.stat.Size)
	default:
		return fault.New(fault.Build, "rootfs.read", "", "%s is a device, which an image cannot hold", at)
	}
	return a.tar.WriteHeader(h)
}

func (a *archive) content(at string, h *tar.Header, size int64) error {
	in, err := regular.Open(at)
	if err != nil {
		return err
	}
	defer in.Close()
	h.Typeflag, h.Size = tar.TypeReg, size
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.CopyN(a.tar, in, size)
	return err
}

// match finds the sources of COPY --from: none, where a wildcard finds nothing.
func match(args MatchArgs) ([]Source, error) {
	var out []Source
	for _, pattern := range args.Patterns {
		pattern = path.Clean("/" + pattern)
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fault.New(fault.Build, "rootfs.match", "", "%q: %w", pattern, err)
		}
		if len(found) == 0 {
			// A name with brackets in it is no pattern when it is there.
			if _, err := os.Lstat(pattern); err == nil {
				found = []string{pattern}
			} else if _, err := os.Stat("/" + strings.TrimPrefix(BeforeWildcard(pattern), "/")); err != nil || !strings.ContainsAny(pattern, "*?[") {
				return nil, fault.New(fault.Build, "rootfs.match", "", "%s: there is no such file in the stage", pattern)
			}
		}
		for _, at := range found {
			info, err := os.Stat(at)
			if err != nil {
				return nil, fault.New(fault.Build, "rootfs.match", "", "%s: the link leads nowhere", at)
			}
			out = append(out, Source{Path: at, Dir: info.IsDir()})
		}
	}
	return out, nil
}

// take writes the sources: a file under its name, a folder as what is in it.
func take(args TakeArgs, out io.Writer) error {
	exclude, err := pattern.New(args.Exclude)
	if err != nil {
		return fault.New(fault.Build, "rootfs.take", "", "--exclude: %w", err)
	}
	w := newArchive(out)
	for _, source := range args.Sources {
		real, err := filepath.EvalSymlinks(source.Path)
		if err != nil {
			return err
		}
		if !source.Dir {
			info, err := os.Lstat(real)
			if err != nil {
				return err
			}
			f, err := look(real, info, args.SingleUser)
			if err == nil {
				err = w.add(path.Base(source.Path), real, f)
			}
			if err != nil {
				return err
			}
			continue
		}
		if err := w.folder(real, args, exclude); err != nil {
			return err
		}
	}
	return w.close()
}

func (a *archive) folder(top string, args TakeArgs, exclude *pattern.Matcher) error {
	return filepath.WalkDir(top, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.Type()&fs.ModeSocket != 0 {
			return nil
		}
		name, err := filepath.Rel(top, at)
		if err != nil {
			return err
		}
		if name == "." {
			name = "./"
		} else if len(args.Exclude) > 0 {
			if out, err := exclude.Match(name); err != nil || out {
				return err
			}
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		f, err := look(at, info, args.SingleUser)
		if err != nil {
			return err
		}
		return a.add(name, at, f)
	})
}

func fileTime(t syscall.Timespec) time.Time { return time.Unix(t.Unix()) }
