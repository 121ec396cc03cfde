package rootfs

import (
	"archive/tar"
	"io"
	"os"
	"path"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// put is COPY: the archive's names are below args.Dest. A link that leads to the
// destination is followed, one in the destination is not. It returns the names in args.Owner that
// nobody has.
func put(args PutArgs, in io.Reader) (unknown []string, err error) {
	var mode *Mode
	if args.Mode != "" {
		if mode, err = ParseMode(args.Mode); err != nil {
			return nil, err
		}
	}
	w, err := newWriter(args.SingleUser, args.Owner, mode, args.Dest)
	if err != nil {
		return nil, err
	}
	w.merge, w.ownParents = true, true
	dest, err := followLinks(args.Dest)
	if err != nil {
		return nil, err
	}
	w.linkBase = dest
	if args.Single {
		if info, err := os.Stat(dest); err != nil || !info.IsDir() {
			return w.unknown, w.all(in, func(h *tar.Header, content io.Reader) error { return w.entry(dest, h, content) })
		}
	}
	if err := w.mkdirAll(dest, true); err != nil {
		return nil, err
	}
	return w.unknown, w.all(in, func(h *tar.Header, content io.Reader) error {
		at := path.Join(dest, path.Clean("/"+h.Name))
		if at == dest {
			return nil // what is in a folder is copied, and not the folder
		}
		return w.entry(at, h, content)
	})
}

// followLinks returns at with no link in it. What is not there has no links, and
// what a link to nowhere means is not there.
func followLinks(at string) (string, error) {
	real, rest := "/", strings.TrimPrefix(path.Clean("/"+at), "/")
	for hops := 0; rest != ""; {
		part, more, _ := strings.Cut(rest, "/")
		next := path.Join(real, part)
		target, err := os.Readlink(next)
		if err != nil {
			real, rest = next, more
			continue
		}
		if hops++; hops > 255 {
			return "", fault.New(fault.Build, "rootfs.links", "", "%s: too many links", at)
		}
		if !path.IsAbs(target) {
			target = path.Join(real, target)
		}
		real, rest = "/", strings.TrimPrefix(path.Join("/", target, more), "/")
	}
	return real, nil
}
