package dockerfile

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// steps holds the layers of a Dockerfile's steps in a repository: each is an image
// of that one layer, under a tag made of the step's name. Whoever may push there can
// put any layer under any step's name: a build that is signed takes only those whose
// signature names the step.
type steps struct {
	client     *registry.Client
	repository string
	signing    builder.Signing // may be nil
}

var _ dockerfile.Steps = steps{}

// NewSteps returns the layers of steps that are in repository.
func NewSteps(client *registry.Client, repository string, signing builder.Signing) dockerfile.Steps {
	return steps{client, repository, signing}
}

func (s steps) tag(name string) string { return s.repository + ":kn-lite-step-" + name }

// inputs is what the signature of a step's image says it was built from.
func (s steps) inputs(name string) string { return "sha256:" + name }

// Find implements dockerfile.Steps. A registry that does not answer has nothing,
// and so has one whose image nobody vouches for who would have to.
func (s steps) Find(ctx context.Context, name string) v1.Layer {
	image, err := s.client.Pull(ctx, s.tag(name), stepPlatform())
	if err != nil {
		return nil
	}
	if s.signing != nil {
		digest, err := image.Digest()
		if err != nil || s.signing.Check(ctx, s.client, s.tag(name), digest, s.inputs(name)) != nil {
			return nil
		}
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		return nil
	}
	return layers[0]
}

// Keep implements dockerfile.Steps. What is there already is not sent again.
func (s steps) Keep(ctx context.Context, name string, l v1.Layer) error {
	image, err := layer.Assemble([]mutate.Addendum{{Layer: l, MediaType: types.OCILayer}}, stepPlatform(), nil, func(*v1.ConfigFile) {})
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	var signer registry.Signer
	if s.signing != nil {
		signer = s.signing.Signer(s.inputs(name))
	}
	if there, ok := s.client.Find(ctx, s.tag(name)); ok && there == digest {
		if signer != nil {
			return s.client.Sign(ctx, digest, s.tag(name), signer)
		}
		return nil
	}
	_, err = s.client.PushWith(ctx, image, s.tag(name), registry.Attached{Sign: signer})
	return err
}

// stepPlatform is what all images of steps say: the platform is in their names.
func stepPlatform() v1.Platform { return v1.Platform{OS: "linux", Architecture: "amd64"} }
