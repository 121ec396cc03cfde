package build

import (
	"context"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/startup"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// listen has the store remember, while layers are made and unpacked, what
// checkStart will ask about them.
func (s Spec) listen(ctx context.Context, store *layer.Store) {
	if s.AnyStart || s.CacheDir == "" {
		return
	}
	store.Listen(func() []layer.Listener {
		files := &startup.Listing{}
		return []layer.Listener{{
			Read: func(tar io.Reader) error { return files.Read(ctx, tar) },
			Keep: func(digest v1.Hash) { files.Keep(s.CacheDir, digest) },
		}}
	})
}

// checkStart returns an error when the image of one platform could not start. Every
// builder ends with it. The base's layers are read once and what is in them is
// remembered.
func (s Spec) checkStart(ctx context.Context, built *PlatformBuild, store *layer.Store) error {
	if s.AnyStart {
		return nil
	}
	config, err := built.Image.ConfigFile()
	if err != nil {
		return err
	}
	if len(config.Config.Entrypoint)+len(config.Config.Cmd) == 0 {
		if s.Dockerfile != nil {
			s.Progress.Warn("the image says nothing about how it is started: whoever runs it has to name a command")
		}
		return nil
	}
	layers, err := built.Image.Layers()
	if err != nil {
		return err
	}
	if len(layers) == 0 {
		s.Progress.Warn("the image has no files, so it cannot be started: it is good as the base of others")
		return nil
	}
	open := func(ctx context.Context, l v1.Layer) (io.ReadCloser, error) {
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(built.Layers, func(own LayerInfo) bool { return own.Digest == digest }) {
			return l.Uncompressed()
		}
		blob, err := store.Fetch(ctx, l)
		if err != nil {
			return nil, &fault.Error{Op: "build.start", Kind: fault.KindOf(err), Subject: built.Base, Err: err}
		}
		return blob.Uncompressed()
	}
	return startup.Check(ctx, config, layers, open, s.CacheDir)
}
