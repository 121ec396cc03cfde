package dockerfile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/rootfs"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// root is the files of a stage, unpacked.
type root struct {
	dir   string
	state rootfs.State
	stubs []string // made for mounts; no part of the image
	owed  []string // mount points of the last RUN, to be removed
}

// change is an instruction that may change files.
type change struct {
	where []parser.Range
	text  string // for history and progress
	key   string // digest over what it depends on, besides the files before it
	quiet bool   // no word about it
	do    func(*root) error
}

// change makes the layer of an instruction, or finds it.
func (b *builder) change(ctx context.Context, s *stage, c change) error {
	s.key = digest(b.keySpace(), s.key, c.key, b.Platform.String(), strconv.FormatBool(b.lossy))
	made, cached := b.find(ctx, s.key)
	var err error
	if cached {
		if s.root != nil {
			err = b.apply(ctx, s.root, made)
		}
		if !c.quiet {
			b.Report.Step(c.text)("cached: "+c.text, true)
		}
	} else {
		made, err = b.make(ctx, s, c)
		if err == nil {
			b.keep(ctx, s.key, made)
		}
	}
	if err != nil {
		return b.locate(c.where, err)
	}
	history := v1.History{Created: b.created(), CreatedBy: c.text, EmptyLayer: made.Empty()}
	s.history = append(s.history, history)
	if !made.Empty() {
		s.layers = append(s.layers, Layer{Name: c.text, Layer: made, Cached: cached})
	}
	return nil
}

func (b *builder) make(ctx context.Context, s *stage, c change) (made *layer.Layer, err error) {
	expected := b.lossy
	r, err := b.root(ctx, s)
	if err != nil {
		return nil, err
	}
	if b.lossy != expected {
		s.key = digest(s.key, "one user") // newuidmap did not do what its files promise
	}
	if !c.quiet {
		end := b.Report.Step(c.text)
		defer func() { end(c.text, err == nil) }()
	}
	if err := c.do(r); err != nil {
		return nil, err
	}
	return b.diff(ctx, r, s.key)
}

// diff makes a layer of what has changed since the last one.
func (b *builder) diff(ctx context.Context, r *root, key string) (*layer.Layer, error) {
	old, err := json.Marshal(r.state)
	if err != nil {
		return nil, err
	}
	reader, writer, err := sandbox.Pipe()
	if err != nil {
		return nil, err
	}
	var made *layer.Layer
	imported := make(chan error, 1)
	go func() {
		err := parallel.Guard(func() (err error) {
			made, _, err = b.Store.Import(ctx, key, b.Epoch, reader)
			return err
		})()
		imported <- errors.Join(err, reader.Close())
	}()
	var state rootfs.State
	err = b.call(ctx, r, rootfs.GuestDiff, rootfs.DiffArgs{Remove: r.owed, Loose: b.loose()}, &state, bytes.NewReader(old), writer)
	err = errors.Join(err, writer.Close())
	importErr := <-imported
	if err == nil {
		err = importErr
	}
	r.state, r.owed = state, nil
	return made, err
}

// root unpacks the files of a stage as they are now.
func (b *builder) root(ctx context.Context, s *stage) (*root, error) {
	if s.root != nil {
		return s.root, nil
	}
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	dir, err := b.box.Root()
	if err != nil {
		return nil, err
	}
	r := &root{dir: dir}
	if s.base != nil {
		if err := b.unpackBase(ctx, r, s.base); err != nil {
			return nil, err
		}
	}
	for _, l := range s.layers {
		if err := b.unpackLayer(ctx, r, l.Layer); err != nil {
			return nil, err
		}
	}
	mounted := rootfs.PrepareArgs{
		Dirs: []string{"/proc", "/sys", "/dev"}, Files: []string{"/etc/resolv.conf", "/etc/hosts"}, Loose: b.loose(),
	}
	if err := b.call(ctx, r, rootfs.GuestPrepare, mounted, &r.stubs, nil, nil); err != nil {
		return nil, err
	}
	if err := b.scan(ctx, r); err != nil {
		return nil, err
	}
	s.root = r
	return r, nil
}

func (b *builder) scan(ctx context.Context, r *root) error {
	r.state = nil
	return b.call(ctx, r, rootfs.GuestScan, rootfs.ScanArgs{Loose: b.loose()}, &r.state, nil, nil)
}

// apply brings a layer that was found into files that are there already.
func (b *builder) apply(ctx context.Context, r *root, l *layer.Layer) error {
	if err := b.unpackLayer(ctx, r, l); err != nil {
		return err
	}
	return b.scan(ctx, r)
}

func (b *builder) mkdir(ctx context.Context, r *root, dir string) error {
	return b.call(ctx, r, rootfs.GuestPrepare, rootfs.PrepareArgs{Dirs: []string{dir}, Loose: b.loose()}, nil, nil, nil)
}

// open starts the first sandbox of the build.
func (b *builder) open(ctx context.Context) (err error) {
	if b.box != nil {
		return nil
	}
	if b.box, err = sandbox.Open(ctx, sandbox.Options{Dir: b.CacheDir, Temp: b.TempDir, Path: b.Path}); err != nil {
		return err
	}
	if identity, why := b.box.Identity(); identity == sandbox.Single {
		b.lossy = true
		b.Report.Warn("the build has one user only: programs that change users or owners see no effect (" + why + ")")
	}
	return nil
}

func (b *builder) loose() bool {
	identity, _ := b.box.Identity()
	return identity == sandbox.Single
}

// call runs a guest on the files of r.
func (b *builder) call(ctx context.Context, r *root, guest string, args, reply any, in io.Reader, out io.Writer) error {
	err := b.box.Call(ctx, sandbox.Call{Root: r.dir, Guest: guest, Args: args, Reply: reply, In: in, Out: out})
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
