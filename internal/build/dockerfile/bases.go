package dockerfile

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/rootfs"
)

// Pull gets the image that ref means for a platform. Its layers are read later,
// if at all.
type Pull func(ref string, platform v1.Platform) (v1.Image, error)

// PullOnce returns a Pull that asks what a reference means once: a tag that moves
// while a build goes on cannot give its stages, or its platforms, different
// bases. resolve may be nil; then only the stages of one platform are safe.
func PullOnce(pull Pull, resolve func(ref string) (v1.Hash, error)) Pull {
	type wanted struct{ ref, platform string }
	var mutex sync.Mutex
	images := map[wanted]func() (v1.Image, error){}
	pinned := map[string]func() (string, error){}
	pin := func(ref string) (string, error) {
		if resolve == nil || strings.Contains(ref, "@") {
			return ref, nil
		}
		digest, err := resolve(ref)
		switch fault.KindOf(err) {
		case fault.Failure, fault.NotFound:
			if err != nil {
				return ref, nil // some registries do not answer HEAD; if it is worse, pull says so
			}
		default:
			return "", err
		}
		return ref + "@" + digest.String(), nil
	}
	return func(ref string, platform v1.Platform) (v1.Image, error) {
		key := wanted{ref, platform.String()}
		mutex.Lock()
		if pinned[ref] == nil {
			pinned[ref] = sync.OnceValues(func() (string, error) { return pin(ref) })
		}
		if images[key] == nil {
			at := pinned[ref]
			images[key] = sync.OnceValues(func() (v1.Image, error) {
				ref, err := at()
				if err != nil {
					return nil, err
				}
				return pull(ref, platform)
			})
		}
		get := images[key]
		mutex.Unlock()
		return get()
	}
}

// downloads is how many layers of a base are on their way at once.
const downloads = 3

// unpackBase unpacks a base image's layers but for the first so many, each as
// soon as it is here.
func (b *builder) unpackBase(ctx context.Context, base *base, but int, unpack func(*layer.Blob) error) (err error) {
	task := b.Report.Start("unpacking "+base.ref, 0)
	defer func() { progress.End(task, "unpacked "+base.ref, err) }()
	layers, err := base.image.Layers()
	if err != nil {
		return err
	}
	layers = layers[but:]
	ctx, cancel := context.WithCancel(ctx)
	arrived := make([]chan *layer.Blob, len(layers))
	for i := range layers {
		arrived[i] = make(chan *layer.Blob, 1)
	}
	var all, fetching errgroup.Group
	fetching.SetLimit(downloads)
	all.Go(func() error {
		for i, l := range layers {
			fetching.Go(parallel.Guard(func() error {
				blob, err := b.Store.Fetch(ctx, l)
				if err != nil {
					cancel()
					return err
				}
				arrived[i] <- blob
				return nil
			}))
		}
		return fetching.Wait()
	})
	for i := 0; i < len(layers) && err == nil; i++ {
		select {
		case blob := <-arrived[i]:
			err = unpack(blob)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	cancel()
	// Of a download that went wrong, the end of the context is only the consequence.
	if fetchErr := all.Wait(); fetchErr != nil && !errors.Is(fetchErr, context.Canceled) {
		return fetchErr
	}
	return err
}

// unpackLayer unpacks a layer that a step has made. What RUN may write, it may
// write again.
func (b *builder) unpackLayer(ctx context.Context, r *root, l *layer.Layer) error {
	_, err := b.unpack(ctx, r, l, 0)
	return err
}

// unpack unpacks a layer whose files have at most limit bytes; 0 is no limit. It
// returns the size of the tar.
func (b *builder) unpack(ctx context.Context, r *root, l uncompressed, limit int64) (int64, error) {
	content, err := l.Uncompressed()
	if err != nil {
		return 0, err
	}
	source := &tracked{Reader: content}
	args := rootfs.UnpackArgs{Dest: "/", Layer: true, SingleUser: b.singleUser(), Limit: limit}
	err = b.call(ctx, r, rootfs.GuestUnpack, args, nil, source, nil)
	if source.err != nil {
		err = source.err // the other end has seen half an archive only
	}
	return source.got, errors.Join(err, content.Close())
}

// uncompressed is a layer as far as unpacking it goes.
type uncompressed interface {
	Uncompressed() (io.ReadCloser, error)
}
