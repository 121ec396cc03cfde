package dockerfile

import (
	"cmp"
	"context"
	"io"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/snapshot"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// openSnapshots opens the store where the machine has overlays.
func (b *builder) openSnapshots(ctx context.Context) (err error) {
	if b.Boot == "" || !b.box.Overlays() {
		return nil
	}
	if b.nothing, err = b.box.Root(); err != nil {
		return err
	}
	b.snapshots, err = snapshot.Open(ctx, filepath.Join(b.box.Home(), "snapshots"), b.Boot, b.box, b.Now)
	return err
}

// overlay is the files of r as the sandbox mounts them.
func (b *builder) overlay(r *root) *sandbox.Overlay {
	out := &sandbox.Overlay{Fresh: r.fresh}
	for _, l := range r.tree {
		out.Lower = append(out.Lower, b.snapshots.Top(l))
	}
	if len(out.Lower) == 0 {
		out.Lower = []string{b.nothing}
	}
	if r.upper != nil {
		out.Upper, out.Work = b.snapshots.Top(*r.upper), b.snapshots.Kernel(*r.upper)
		r.fresh = false
	}
	return out
}

// unpackedBase is the files of a base, once in a build.
type unpackedBase struct {
	ready
}

// baseTree returns the files of a base and the name that they are saved under.
func (b *builder) baseTree(ctx context.Context, base *base) (snapshot.Tree, string, error) {
	b.mutex.Lock()
	one := b.bases[base.digest]
	if one == nil {
		one = &unpackedBase{}
		b.bases[base.digest] = one
	}
	b.mutex.Unlock()
	one.once.Do(func() { one.root, one.err = b.unpackTree(ctx, base) })
	if one.err != nil {
		return nil, "", one.err
	}
	return one.root.tree[:len(one.root.tree):len(one.root.tree)], one.root.name, nil
}

// unpackTree unpacks those layers of a base that no other image has brought.
func (b *builder) unpackTree(ctx context.Context, base *base) (*root, error) {
	layers, err := base.image.Layers()
	if err != nil {
		return nil, err
	}
	names := []string{"nothing"}
	for _, l := range layers {
		diffID, err := l.DiffID()
		if err != nil {
			return nil, err
		}
		names = append(names, digest("base", names[len(names)-1], diffID.String()))
	}
	r := &root{layered: true}
	have := len(layers)
	for ; have > 0; have-- {
		if found, ok := b.snapshots.Find(names[have]); ok {
			r.tree = found.Tree
			break
		}
	}
	r.name = names[have]
	if have == len(layers) {
		return r, nil
	}
	return r, b.unpackBase(ctx, base, have, func(blob *layer.Blob) error {
		have++
		r.name = names[have]
		return b.unpackOnTop(ctx, r, blob, expandedLimit(blob.Size), r.name)
	})
}

// unpackOnTop unpacks a layer into a folder of its own and saves the result.
func (b *builder) unpackOnTop(ctx context.Context, r *root, l uncompressed, limit int64, name string) error {
	if err := b.startLayer(ctx, r); err != nil {
		return err
	}
	bytes, err := b.unpack(ctx, r, l, limit)
	if err != nil {
		return err
	}
	return b.finishLayer(r, rootfs.ChangesReply{Entries: 1, Bytes: bytes}, name)
}

// startLayer puts a new folder on top of r.
func (b *builder) startLayer(ctx context.Context, r *root) error {
	if len(r.tree) >= cmp.Or(b.maxLayers, sandbox.MaxLower) {
		if err := b.flatten(ctx, r); err != nil {
			return err
		}
	}
	l, err := b.snapshots.New()
	if err != nil {
		return err
	}
	r.upper, r.fresh = &l, true
	return nil
}

// finishLayer makes the folder on top a part of the files, unless nothing has
// changed, and saves them under names, the first of which is theirs from now on.
func (b *builder) finishLayer(r *root, changes rootfs.ChangesReply, names ...string) error {
	r.empty = changes.Entries == 0
	if !r.empty {
		r.upper.Bytes, r.name = changes.Bytes, names[0]
		r.tree = append(r.tree[:len(r.tree):len(r.tree)], *r.upper)
	}
	r.upper = nil
	for _, name := range names {
		if err := b.snapshots.Save(name, snapshot.Saved{Tree: r.tree, Empty: r.empty}); err != nil {
			return err
		}
	}
	return nil
}

// flatten copies the files into one folder: the kernel stacks so many only.
func (b *builder) flatten(ctx context.Context, r *root) error {
	flat := &root{layered: true}
	l, err := b.snapshots.New()
	if err != nil {
		return err
	}
	flat.upper, flat.fresh = &l, true
	all := rootfs.TakeArgs{Sources: []rootfs.Source{{Path: "/", Dir: true}}, SingleUser: b.singleUser()}
	bytes := int64(0)
	err = b.pipe(
		func(w io.Writer) error { return b.call(ctx, r, rootfs.GuestTake, all, nil, nil, w) },
		func(in io.Reader) (err error) {
			counted := &tracked{Reader: in}
			err = b.call(ctx, flat, rootfs.GuestUnpack, rootfs.UnpackArgs{Dest: "/", Top: true, SingleUser: b.singleUser()}, nil, counted, nil)
			bytes = counted.got
			return err
		},
	)
	if err != nil {
		return err
	}
	l.Bytes = bytes
	r.tree = snapshot.Tree{l}
	return nil
}

// applyTree adds what a step has made.
func (b *builder) applyTree(ctx context.Context, st *step, r *root) error {
	if after, ok := b.afterStep(st); ok && st.saved != "" && (len(after.tree) == len(r.tree)+1 || st.layer == nil && !st.empty) {
		// This build has made it: what is below is what r has, be it in as many folders
		// or, where those were too many, in one.
		r.tree, r.name, r.empty = after.tree, after.name, false
		return nil
	}
	if st.empty {
		return nil
	}
	diffID, err := st.layer.DiffID()
	if err != nil {
		return err
	}
	name := layerName(r, diffID)
	if found, ok := b.snapshots.Find(name); ok {
		r.tree, r.name, r.empty = found.Tree, name, found.Empty
		return nil
	}
	return b.unpackOnTop(ctx, r, st.layer, 0, name)
}

// layerName is under what the files of r with a layer on top are saved.
func layerName(r *root, diffID v1.Hash) string { return digest("layer", r.name, diffID.String()) }

// performOnTree runs a step in a folder on top of the files.
func (b *builder) performOnTree(ctx context.Context, st *step, r *root) error {
	if err := b.startLayer(ctx, r); err != nil {
		return err
	}
	if err := st.do(r); err != nil {
		return err
	}
	key := b.keyOf(st)
	var changes rootfs.ChangesReply
	var err error
	if st.export || b.Steps != nil {
		st.layer, err = b.imported(ctx, key, func(out io.Writer) error { return b.changes(ctx, r, out, &changes) })
	} else {
		err = b.changes(ctx, r, nil, &changes)
	}
	r.pendingMounts = nil
	if err != nil {
		return err
	}
	st.empty = changes.Entries == 0
	st.saved = b.stepName(st)
	names := []string{st.saved}
	if st.layer != nil {
		diffID, err := st.layer.DiffID()
		if err != nil {
			return err
		}
		if !st.empty {
			names = []string{layerName(r, diffID), st.saved}
		}
		b.keep(ctx, key, st.layer)
	}
	r.steps++
	return b.finishLayer(r, changes, names...)
}

// changes does what is left of the step, and finds what is in the folder on top and
// not below it. With out it is written as a layer.
func (b *builder) changes(ctx context.Context, r *root, out io.Writer, reply *rootfs.ChangesReply) error {
	call := sandbox.Call{Overlay: b.overlay(r), Out: out}
	find := rootfs.ChangesArgs{Remove: r.pendingMounts, Epoch: b.Epoch, Count: out == nil, SingleUser: b.singleUser()}
	last := r.last
	if last == nil {
		call.Apart, call.Guest, call.Args, call.Reply = true, rootfs.GuestChanges, find, reply
		return guestError(ctx, call.Guest, b.box.Call(ctx, call))
	}
	r.last = nil
	call.Guest, call.Args, call.Reply = last.guest, last.args, last.reply
	call.Then = &sandbox.Then{Guest: rootfs.GuestChanges, Args: find, Reply: reply}
	return last.do(b, func(in io.Reader) error {
		call.In = in
		return guestError(ctx, call.Guest, b.box.Call(ctx, call))
	})
}

// export makes the layer of a step from the snapshot after it.
func (b *builder) export(ctx context.Context, st *step, after *root) (err error) {
	st.cached, st.saved, st.empty = true, after.name, after.empty
	key := b.keyOf(st)
	var changes rootfs.ChangesReply
	st.layer, err = b.imported(ctx, key, func(out io.Writer) error {
		if after.empty {
			return nil
		}
		top := len(after.tree) - 1
		before := &root{layered: true, tree: after.tree[:top], upper: &after.tree[top]}
		return b.changes(ctx, before, out, &changes)
	})
	if err != nil {
		return err
	}
	b.say(st, "cached: ")(nil)
	b.keep(ctx, key, st.layer)
	return nil
}
