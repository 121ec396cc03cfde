package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// image is a pulled image whose layers are still in the registry.
type image struct {
	ctx      context.Context // as in ggcr: layers are read long after Pull returned
	sources  []*session      // where blobs are, the registry itself last
	manifest manifest
	parsed   *v1.Manifest
	config   []byte
}

var _ partial.CompressedImageCore = (*image)(nil)

func (i *image) RawManifest() ([]byte, error)        { return i.manifest.raw, nil }
func (i *image) RawConfigFile() ([]byte, error)      { return i.config, nil }
func (i *image) MediaType() (types.MediaType, error) { return i.manifest.mediaType, nil }
func (i *image) Manifest() (*v1.Manifest, error)     { return i.parsed, nil }
func (i *image) ConfigFile() (*v1.ConfigFile, error) { return partial.ConfigFile(i) }

// LayerByDigest finds a layer, or the config, by its digest.
func (i *image) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	if digest == i.parsed.Config.Digest {
		return partial.ConfigLayer(i)
	}
	for _, d := range i.parsed.Layers {
		if d.Digest == digest {
			return &remoteLayer{image: i, descriptor: d}, nil
		}
	}
	return nil, fmt.Errorf("the image has no blob %s", digest)
}

func (i *image) readConfig() ([]byte, error) {
	d := i.parsed.Config
	if d.Size > maxManifest || d.Size < 0 {
		return nil, fmt.Errorf("the image's config is larger than %d bytes", maxManifest)
	}
	if d.Data != nil {
		if got, _, err := v1.SHA256(bytes.NewReader(d.Data)); err == nil && got == d.Digest {
			return d.Data, nil
		}
	}
	blob := i.open(d)
	content, err := io.ReadAll(blob)
	return content, errors.Join(err, blob.Close())
}

// checkPlatform refuses an image that says it is for another platform: run
// there, it would end in "exec format error".
func (i *image) checkPlatform(r Reference, want v1.Platform) error {
	config, err := i.ConfigFile()
	if err != nil {
		return fmt.Errorf("the config of %s is damaged: %w", r, err)
	}
	if err := checkConfig(i.parsed, config); err != nil {
		return fmt.Errorf("%s is damaged: %w", r, err)
	}
	if config.OS != "" && config.OS != want.OS || config.Architecture != "" && config.Architecture != want.Architecture {
		return &fault.Error{Op: "registry.pull", Kind: fault.NotFound, Subject: r.String(), Err: otherPlatform(fmt.Sprintf("the image is for %s/%s, not for %s", config.OS, config.Architecture, want.String()))}
	}
	return nil
}

// ErrPlatform is what the error of Pull is when there is an image, and none for the
// platform.
var ErrPlatform = errors.New("no image for this platform")

// otherPlatform is an ErrPlatform in words of its own.
type otherPlatform string

func (e otherPlatform) Error() string { return string(e) }

// Is implements errors.Is.
func (e otherPlatform) Is(target error) bool { return target == ErrPlatform }

// asImage completes the view. Its layers say where they live, so that a push
// to the same registry mounts them.
func (i *image) asImage() (v1.Image, error) {
	full, err := partial.CompressedToImage(i)
	if err != nil {
		return nil, err
	}
	return &pulledImage{Image: full, from: i}, nil
}

type pulledImage struct {
	v1.Image
	from *image
}

func (p *pulledImage) Layers() ([]v1.Layer, error) {
	var out []v1.Layer
	for _, d := range p.from.parsed.Layers {
		layer, err := p.LayerByDigest(d.Digest)
		if err != nil {
			return nil, err
		}
		out = append(out, layer)
	}
	return out, nil
}

func (p *pulledImage) LayerByDigest(digest v1.Hash) (v1.Layer, error) {
	compressed, err := p.from.LayerByDigest(digest)
	if err != nil {
		return nil, err
	}
	layer, err := partial.CompressedToLayer(compressed)
	if err != nil {
		return nil, err
	}
	if remote, ok := compressed.(*remoteLayer); ok {
		return &pulledLayer{Layer: layer, from: remote}, nil
	}
	return layer, nil
}

func (p *pulledImage) LayerByDiffID(diffID v1.Hash) (v1.Layer, error) {
	digest, err := partial.DiffIDToBlob(p, diffID)
	if err != nil {
		return nil, err
	}
	return p.LayerByDigest(digest)
}

type pulledLayer struct {
	v1.Layer
	from *remoteLayer
}

var _ mountable = (*pulledLayer)(nil)

func (p *pulledLayer) source() (host, repository string) {
	s := p.from.image.sources[0]
	return s.host, s.repository
}

// remoteLayer reads from the registry each time it is opened.
type remoteLayer struct {
	image      *image
	descriptor v1.Descriptor
}

func (l *remoteLayer) Digest() (v1.Hash, error)            { return l.descriptor.Digest, nil }
func (l *remoteLayer) Size() (int64, error)                { return l.descriptor.Size, nil }
func (l *remoteLayer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }
func (l *remoteLayer) DiffID() (v1.Hash, error) {
	return partial.BlobToDiffID(l.image, l.descriptor.Digest)
}
func (l *remoteLayer) Descriptor() (*v1.Descriptor, error) { return &l.descriptor, nil }
func (l *remoteLayer) Compressed() (io.ReadCloser, error)  { return l.image.open(l.descriptor), nil }
