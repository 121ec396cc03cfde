package registry

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxLayers is far above what container runtimes can stack (127 and 500).
const maxLayers = 10_000

// errMalformed is what a registry, or a layout, says that cannot be true.
var errMalformed = errors.New("malformed")

// checkDescriptor wants a digest that can be asked for and a size that can be.
// JSON without either gives a descriptor too.
func checkDescriptor(d v1.Descriptor, what string) error {
	switch {
	case d.Digest.Algorithm != "sha256" || len(d.Digest.Hex) != 64:
		return fmt.Errorf("%w: %s has no digest", errMalformed, what)
	case d.Size < 0:
		return fmt.Errorf("%w: %s has %d bytes", errMalformed, what, d.Size)
	}
	return nil
}

// checkManifest looks at all numbers and names of an image's manifest before
// anything is made of them.
func checkManifest(m *v1.Manifest) error {
	if err := checkDescriptor(m.Config, "the config"); err != nil {
		return err
	}
	if len(m.Layers) > maxLayers {
		return fmt.Errorf("%w: it has %d layers, and %d is the limit", errMalformed, len(m.Layers), maxLayers)
	}
	for i, d := range m.Layers {
		if err := checkDescriptor(d, fmt.Sprintf("layer %d", i+1)); err != nil {
			return err
		}
	}
	return nil
}

// checkConfig wants one diff ID for each layer: whoever looks one up by its place
// would find another one. Artifacts that are no container images have a config of
// another kind, or none in it.
func checkConfig(m *v1.Manifest, config *v1.ConfigFile) error {
	if m.Config.MediaType != types.OCIConfigJSON && m.Config.MediaType != types.DockerConfigJSON {
		return nil
	}
	if n := len(config.RootFS.DiffIDs); n > 0 && n != len(m.Layers) {
		return fmt.Errorf("%w: the manifest has %d layers, and the config %d", errMalformed, len(m.Layers), len(config.RootFS.DiffIDs))
	}
	return nil
}
