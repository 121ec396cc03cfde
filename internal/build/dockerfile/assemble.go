package dockerfile

import (
	"errors"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The annotations by which `push` finds the base of an image that was kept
// without its base layers (https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md).
const (
	annotationCreated    = "org.opencontainers.image.created"
	annotationBaseName   = "org.opencontainers.image.base.name"
	annotationBaseDigest = "org.opencontainers.image.base.digest"
)

// assemble puts the layers of the last stage on its base. The result is an OCI
// image whatever the base was: one manifest may not mix Docker's media types
// with OCI's.
func (b *builder) assemble(s *stage) (*Image, error) {
	out := &Image{Layers: s.layers}
	annotations := map[string]string{annotationCreated: b.Epoch.UTC().Format("2006-01-02T15:04:05Z")}
	var adds []mutate.Addendum
	var history []v1.History
	if s.base != nil {
		out.Base, out.BaseDigest = s.base.ref, s.base.digest
		annotations[annotationBaseName], annotations[annotationBaseDigest] = s.base.ref, s.base.digest
		below, err := ociLayers(s.base.image)
		if err != nil {
			return nil, err
		}
		adds, history = below, slices.Clone(s.base.config.History)
		// Some tools leave out the history, and the two have to agree.
		filled := 0
		for _, h := range history {
			if !h.EmptyLayer {
				filled++
			}
		}
		if filled != len(below) {
			history = nil
			for range below {
				history = append(history, v1.History{Created: s.base.config.Created, CreatedBy: s.base.ref, Comment: "base"})
			}
		}
	}
	for _, l := range s.layers {
		adds = append(adds, mutate.Addendum{Layer: l.Layer, MediaType: types.OCILayer})
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(image, adds...)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Created, file.Author = b.created(), s.author
	file.OS, file.Architecture, file.Variant = b.Platform.OS, b.Platform.Architecture, b.Platform.Variant
	file.History = append(history, s.history...)
	file.Config = *s.config.DeepCopy()
	if len(b.Labels) > 0 {
		if file.Config.Labels == nil {
			file.Config.Labels = map[string]string{}
		}
		maps.Copy(file.Config.Labels, b.Labels)
	}
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return nil, err
	}
	annotated, ok := mutate.Annotations(image, annotations).(v1.Image)
	if !ok {
		return nil, errors.New("annotating an image gave no image")
	}
	out.Image = annotated
	return out, nil
}

// ociLayers are an image's layers under OCI media types.
func ociLayers(image v1.Image) ([]mutate.Addendum, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	var adds []mutate.Addendum
	for _, l := range layers {
		mediaType, err := l.MediaType()
		if err != nil {
			return nil, err
		}
		switch mediaType {
		case types.DockerLayer:
			mediaType = types.OCILayer
		case types.DockerUncompressedLayer:
			mediaType = types.OCIUncompressedLayer
		}
		adds = append(adds, mutate.Addendum{Layer: l, MediaType: mediaType})
	}
	return adds, nil
}
