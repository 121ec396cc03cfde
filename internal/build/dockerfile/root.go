package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/snapshot"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// root is the files of a stage after some of its steps: a stack of folders where
// the machine has overlays, and one folder where it has none.
type root struct {
	steps         int  // of the stage that are in it
	begun         bool // the base is in it
	layered       bool
	pendingMounts []string // mount points of the last RUN, to be removed
	label         string   // begins what programs say

	// Of a stack.
	tree  snapshot.Tree
	name  string          // under which tree is saved
	empty bool            // the last step has changed nothing
	upper *snapshot.Layer // what a step changes; nil between steps
	last  *lastCall       // what a step has still to do, together with finding out what has changed
	fresh bool            // nothing has been done in upper

	// Of one folder.
	dir   string
	state rootfs.State
}

// bring brings the files of a stage to where n steps have been made.
func (b *builder) bring(ctx context.Context, s *stage, r *root, n int) error {
	if err := b.begin(ctx, s, r); err != nil {
		return err
	}
	unpacked := false
	for ; r.steps < n; r.steps++ {
		st := s.steps[r.steps]
		if err := b.apply(ctx, st, r); err != nil {
			return err
		}
		unpacked = true
	}
	if unpacked && !r.layered {
		return b.scan(ctx, r)
	}
	return nil
}

// begin starts with the files of the base.
func (b *builder) begin(ctx context.Context, s *stage, r *root) error {
	if r.begun || r.layered {
		return nil
	}
	if err := b.open(ctx); err != nil {
		return err
	}
	r.begun, r.layered = true, b.snapshots != nil
	if !r.layered {
		return b.beginFolder(ctx, s, r)
	}
	r.name = "nothing"
	if s.base == nil {
		return nil
	}
	var err error
	r.tree, r.name, err = b.baseTree(ctx, s.base)
	return err
}

// apply adds what a step has made.
func (b *builder) apply(ctx context.Context, st *step, r *root) error {
	if r.layered {
		return b.applyTree(ctx, st, r)
	}
	return b.unpackLayer(ctx, r, st.layer)
}

// perform runs a step on the files of those before it.
func (b *builder) perform(ctx context.Context, st *step, r *root) (err error) {
	end := b.say(st, "")
	defer func() { end(err) }()
	r.label = b.label(st)
	if r.layered {
		return b.performOnTree(ctx, st, r)
	}
	if err := st.do(r); err != nil {
		return err
	}
	if st.layer, err = b.diff(ctx, r, b.keyOf(st)); err != nil {
		return err
	}
	r.steps++
	b.keep(ctx, b.keyOf(st), st.layer)
	return nil
}

// imported makes a layer of the archive that write writes. Of one that failed, no
// layer is remembered.
func (b *builder) imported(ctx context.Context, key string, write func(io.Writer) error) (*layer.Layer, error) {
	reader, writer, err := sandbox.Pipe()
	if err != nil {
		return nil, err
	}
	var made *layer.Layer
	done, written := make(chan error, 1), make(chan error, 1)
	go func() {
		err := parallel.Guard(func() (err error) {
			made, _, err = b.Store.Import(ctx, key, b.Epoch, &awaited{Reader: reader, written: written})
			return err
		})()
		done <- errors.Join(err, reader.Close())
	}()
	err = errors.Join(write(writer), writer.Close())
	written <- err
	importErr := <-done
	if err == nil {
		err = importErr
	}
	return made, err
}

// awaited is a pipe whose end is an error when whoever wrote to it has failed: an
// archive that is cut short between two files looks like a whole one.
type awaited struct {
	io.Reader
	written <-chan error
	end     error
}

func (a *awaited) Read(p []byte) (int, error) {
	if a.end != nil {
		return 0, a.end
	}
	n, err := a.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		if a.end = <-a.written; a.end == nil {
			a.end = io.EOF
		}
		err = a.end
	}
	return n, err
}

// lastCall is a guest that ends a step.
type lastCall struct {
	guest       string
	args, reply any
	feed        func(io.Writer) error // writes what the guest reads; nil is nothing
	after       func() error          // looks at the reply
}

// finish does the last thing of a step: later, where the process that does it can
// find out what has changed, too. Starting processes is most of what small steps take.
func (b *builder) finish(ctx context.Context, r *root, last lastCall) error {
	if r.layered && b.box.Chains() {
		r.last = &last
		return nil
	}
	return last.do(b, func(in io.Reader) error { return b.call(ctx, r, last.guest, last.args, last.reply, in, nil) })
}

// do makes the call, whatever else belongs to it.
func (l *lastCall) do(b *builder, call func(in io.Reader) error) error {
	var err error
	if l.feed == nil {
		err = call(nil)
	} else {
		err = b.pipe(l.feed, call)
	}
	if err != nil {
		return err
	}
	return l.after()
}

// open starts the sandbox of the build.
func (b *builder) open(ctx context.Context) error {
	b.opening.Lock()
	defer b.opening.Unlock()
	if b.box != nil {
		return nil
	}
	return b.openBox(ctx)
}

func (b *builder) openBox(ctx context.Context) (err error) {
	if b.box, err = sandbox.Open(ctx, sandbox.Options{Dir: b.CacheDir, Temp: b.TempDir, Path: b.Path}); err != nil {
		return err
	}
	if identity, why := b.box.Identity(); identity == sandbox.Single {
		b.degraded = true
		b.Report.Warn("the build has one user only: programs that change users or owners see no effect (" + why + ")")
	}
	return b.openSnapshots(ctx)
}

// close removes what is no good for the next build.
func (b *builder) close(ctx context.Context) error {
	var err error
	if b.snapshots != nil {
		err = b.snapshots.Close(ctx)
	}
	return errors.Join(err, b.box.Close(ctx))
}

func (b *builder) singleUser() bool {
	identity, _ := b.box.Identity()
	return identity == sandbox.Single
}

// place returns a call on the files of r.
func (b *builder) place(r *root) sandbox.Call {
	if !r.layered {
		return sandbox.Call{Root: r.dir}
	}
	return sandbox.Call{Overlay: b.overlay(r)}
}

// call runs a guest on the files of r.
func (b *builder) call(ctx context.Context, r *root, guest string, args, reply any, in io.Reader, out io.Writer) error {
	call := b.place(r)
	call.Guest, call.Args, call.Reply, call.In, call.Out = guest, args, reply, in, out
	return guestError(ctx, guest, b.box.Call(ctx, call))
}

func guestError(ctx context.Context, guest string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Subject == "" {
		return e
	}
	return fmt.Errorf("%s: %w", guest, err)
}

// cacheFolder is the content of RUN --mount=type=cache with an id.
func (b *builder) cacheFolder(id string) (string, error) {
	dir := filepath.Join(b.box.Home(), "mounts", digest(id)[:32])
	return dir, b.box.Folder(dir)
}
