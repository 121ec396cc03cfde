package layer

import (
	"errors"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The annotations of an image. By the last two `push` finds the base of an image
// that was kept without its base layers
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md).
const (
	AnnotationCreated    = "org.opencontainers.image.created"
	AnnotationBaseName   = "org.opencontainers.image.base.name"
	AnnotationBaseDigest = "org.opencontainers.image.base.digest"
)

// OfBase are a base image's layers under OCI media types, without history: one
// manifest may not mix Docker's media types with OCI's.
func OfBase(image v1.Image) ([]mutate.Addendum, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	adds := make([]mutate.Addendum, 0, len(layers))
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

// Assemble is an OCI image of layers, the lowest first, for a platform. describe
// sets the rest of its configuration.
func Assemble(layers []mutate.Addendum, platform v1.Platform, annotations map[string]string, describe func(*v1.ConfigFile)) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(image, layers...)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Variant = platform.OS, platform.Architecture, platform.Variant
	describe(file)
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return nil, err
	}
	annotated, ok := mutate.Annotations(image, annotations).(v1.Image)
	if !ok {
		return nil, errors.New("annotating an image gave no image")
	}
	return annotated, nil
}
