package runtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/snapshot"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// layered are files in a sandbox: one folder a layer, which images share.
type layered struct {
	r       *Runtime
	store   *snapshot.Store
	nothing string  // an empty folder
	flights flights // by name
}

func openLayered(ctx context.Context, r *Runtime) (*layered, error) {
	l := &layered{r: r}
	var err error
	if l.nothing, err = r.box.Root(); err != nil {
		return nil, err
	}
	l.store, err = snapshot.Open(ctx, l.dir(), bootID(), r.box, r.options.Now)
	return l, err
}

func (l *layered) dir() string     { return filepath.Join(l.r.box.Home(), "images") }
func (l *layered) configs() string { return filepath.Join(l.r.box.Home(), "configs") }

func (l *layered) close(ctx context.Context) error { return l.store.Close(ctx) }

func (l *layered) purge(ctx context.Context) error {
	var errs []error
	for _, dir := range []string{l.configs(), l.dir()} {
		if _, err := os.Lstat(dir); err == nil {
			errs = append(errs, l.r.box.Remove(ctx, dir))
		}
	}
	return errors.Join(errs...)
}

func (l *layered) keep(ctx context.Context, names map[string]bool) error {
	return l.store.Keep(ctx, names)
}

func (l *layered) has(name string) bool {
	_, ok := l.store.Find(name)
	return ok
}

// under returns the folders of an image, the lowest first.
func (l *layered) under(name string) ([]string, bool) {
	saved, ok := l.store.Find(name)
	return l.folders(saved.Tree), ok
}

// unpack unpacks those layers that no other image has brought.
func (l *layered) unpack(ctx context.Context, layers []v1.Layer) (name string, err error) {
	var tree snapshot.Tree
	name = hash([]byte("nothing"))
	for len(layers) > 0 {
		// The kernel has a limit for folders on top of each other: the last one holds
		// all layers that are left.
		n := 1
		if len(tree) == sandbox.MaxLower-1 || !l.r.box.Overlays() {
			n = len(layers)
		}
		below := tree
		for _, one := range layers[:n] {
			diffID, err := one.DiffID()
			if err != nil {
				return "", err
			}
			name = hash([]byte(name), []byte(diffID.String()))
		}
		files, group := name, layers[:n]
		got, err := l.flights.do(ctx, l.r.life, files, func(ctx context.Context) (any, error) {
			return l.unpackOnTop(ctx, below, group, files)
		})
		if err != nil {
			return "", err
		}
		tree, layers = got.(snapshot.Tree), layers[n:] //nolint:errcheck // it is what unpackOnTop returns
	}
	return name, nil
}

// unpackOnTop unpacks layers into one folder above others, unless that was done.
func (l *layered) unpackOnTop(ctx context.Context, below snapshot.Tree, layers []v1.Layer, name string) (snapshot.Tree, error) {
	if saved, ok := l.store.Find(name); ok {
		return saved.Tree, nil
	}
	top, err := l.store.New()
	if err != nil {
		return nil, err
	}
	for n, one := range layers {
		bytes, err := l.unpackLayer(ctx, below, top, one, n == 0)
		if err != nil {
			return nil, err // what was unpacked is removed with all that has no name
		}
		top.Bytes += bytes
	}
	tree := append(below[:len(below):len(below)], top)
	return tree, l.store.Save(name, snapshot.Saved{Tree: tree})
}

func (l *layered) unpackLayer(ctx context.Context, below snapshot.Tree, top snapshot.Layer, one v1.Layer, fresh bool) (int64, error) {
	size, err := one.Size()
	if err != nil {
		return 0, err
	}
	content, err := one.Uncompressed()
	if err != nil {
		return 0, err
	}
	limit := max(bombSize, size*bombRatio)
	source := &limited{in: content, left: limit}
	identity, _ := l.r.box.Identity()
	call := sandbox.Call{
		Guest: rootfs.GuestUnpack, In: source,
		Args: rootfs.UnpackArgs{Dest: "/", Layer: true, SingleUser: identity == sandbox.Single, Limit: limit},
	}
	if l.r.box.Overlays() {
		call.Overlay = &sandbox.Overlay{Lower: l.folders(below), Upper: l.store.Top(top), Work: l.store.Kernel(top), Fresh: fresh}
	} else {
		call.Root = l.store.Top(top)
	}
	err = l.r.box.Call(ctx, call)
	if source.err != nil {
		err = source.err // the other end has seen half an archive only
	}
	return source.got, errors.Join(err, content.Close())
}

// folders are those of a tree, the lowest first.
func (l *layered) folders(tree snapshot.Tree) []string {
	var out []string
	for _, one := range tree {
		out = append(out, l.store.Top(one))
	}
	if len(out) == 0 {
		out = []string{l.nothing}
	}
	return out
}
