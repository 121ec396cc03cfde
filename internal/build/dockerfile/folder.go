package dockerfile

import (
	"bytes"
	"context"
	"encoding/json"
	"io"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/rootfs"
)

// beginFolder unpacks the base where the machine has no overlays.
func (b *builder) beginFolder(ctx context.Context, s *stage, r *root) (err error) {
	if r.dir, err = b.box.Root(); err != nil {
		return err
	}
	if s.base != nil {
		err := b.unpackBase(ctx, s.base, 0, func(blob *layer.Blob) error {
			_, err := b.unpack(ctx, r, blob, expandedLimit(blob.Size))
			return err
		})
		if err != nil {
			return err
		}
	}
	return b.scan(ctx, r)
}

// mountedFolders are what every RUN has something mounted on.
func mountedFolders() []string { return []string{"/proc", "/sys", "/dev"} }

func (b *builder) scan(ctx context.Context, r *root) error {
	r.state = nil
	return b.call(ctx, r, rootfs.GuestScan, rootfs.ScanArgs{Epoch: b.Epoch, SingleUser: b.singleUser()}, &r.state, nil, nil)
}

// diff makes a layer of what has changed since the last one.
func (b *builder) diff(ctx context.Context, r *root, key string) (*layer.Layer, error) {
	old, err := json.Marshal(r.state)
	if err != nil {
		return nil, err
	}
	var state rootfs.State
	args := rootfs.DiffArgs{Remove: r.pendingMounts, Epoch: b.Epoch, SingleUser: b.singleUser()}
	made, err := b.imported(ctx, key, func(out io.Writer) error {
		return b.call(ctx, r, rootfs.GuestDiff, args, &state, bytes.NewReader(old), out)
	})
	r.state, r.pendingMounts = state, nil
	return made, err
}
