package layout

import (
	"bytes"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image is an image of a layout. Its layers keep their types: one that came from a
// registry can be mounted from there.
type Image struct {
	digest         v1.Hash
	mediaType      types.MediaType
	raw, rawConfig []byte
	manifest       *v1.Manifest
	layers         []v1.Layer
}

var _ v1.Image = (*Image)(nil)

// Image returns the image that d describes, with all its layers in the layout.
func (r *Reader) Image(d v1.Descriptor) (*Image, error) {
	i, err := r.Describe(d)
	if err != nil {
		return nil, err
	}
	// What is no image has a config without digests of layers, or none that is JSON.
	var diffIDs []v1.Hash
	if config, err := i.ConfigFile(); err == nil && len(config.RootFS.DiffIDs) == len(i.manifest.Layers) {
		diffIDs = config.RootFS.DiffIDs
	}
	for n, d := range i.manifest.Layers {
		var l v1.Layer
		if diffIDs != nil {
			l, err = r.LayerWithDiffID(d, diffIDs[n])
		} else {
			l, err = r.Layer(d)
		}
		if err != nil {
			return nil, err
		}
		i.Append(l)
	}
	return i, nil
}

// Describe returns the image that d describes, without its layers.
func (r *Reader) Describe(d v1.Descriptor) (*Image, error) {
	raw, err := r.Blob(d.Digest)
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	rawConfig, err := r.Blob(manifest.Config.Digest)
	if err != nil {
		return nil, err
	}
	i := &Image{digest: d.Digest, mediaType: manifest.MediaType, raw: raw, rawConfig: rawConfig, manifest: manifest}
	if i.mediaType == "" {
		i.mediaType = d.MediaType
	}
	return i, nil
}

// Append adds the next layer, wherever it is.
func (i *Image) Append(l v1.Layer) { i.layers = append(i.layers, l) }

// Layers implements v1.Image.
func (i *Image) Layers() ([]v1.Layer, error) { return i.layers, nil }

// MediaType implements v1.Image.
func (i *Image) MediaType() (types.MediaType, error) { return i.mediaType, nil }

// Size implements v1.Image.
func (i *Image) Size() (int64, error) { return int64(len(i.raw)), nil }

// ConfigName implements v1.Image.
func (i *Image) ConfigName() (v1.Hash, error) { return i.manifest.Config.Digest, nil }

// ConfigFile implements v1.Image.
func (i *Image) ConfigFile() (*v1.ConfigFile, error) {
	return v1.ParseConfigFile(bytes.NewReader(i.rawConfig))
}

// RawConfigFile implements v1.Image.
func (i *Image) RawConfigFile() ([]byte, error) { return i.rawConfig, nil }

// Digest implements v1.Image.
func (i *Image) Digest() (v1.Hash, error) { return i.digest, nil }

// Manifest implements v1.Image.
func (i *Image) Manifest() (*v1.Manifest, error) { return i.manifest, nil }

// RawManifest implements v1.Image.
func (i *Image) RawManifest() ([]byte, error) { return i.raw, nil }

// LayerByDiffID implements v1.Image.
func (i *Image) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	config, err := i.ConfigFile()
	if err != nil {
		return nil, err
	}
	if len(config.RootFS.DiffIDs) != len(i.layers) {
		return nil, errors.New("manifest and config disagree about the layers")
	}
	for n, id := range config.RootFS.DiffIDs {
		if id == h {
			return i.layers[n], nil
		}
	}
	return nil, fmt.Errorf("there is no layer with diff ID %s", h)
}

// LayerByDigest implements v1.Image.
func (i *Image) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if h == i.manifest.Config.Digest {
		return partial.ConfigLayer(i)
	}
	for n, d := range i.manifest.Layers {
		if d.Digest == h && n < len(i.layers) {
			return i.layers[n], nil
		}
	}
	return nil, fmt.Errorf("there is no layer %s", h)
}
