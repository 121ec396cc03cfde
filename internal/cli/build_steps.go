package cli

import (
	"cmp"
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// registrySteps keeps the layers of a Dockerfile's steps in a repository: each is
// an image of that one layer, under a tag made of the step's name.
// Whoever may push there can put any layer under any step's name: a build that is
// signed takes only those whose signature names the step.
type registrySteps struct {
	client     *registry.Client
	repository string
	signing    *attestFlags // may be nil
}

var _ dockerfile.Steps = registrySteps{}

func (r registrySteps) tag(name string) string { return r.repository + ":kn-lite-step-" + name }

// inputs is what the signature of a step's image says it was built from.
func (r registrySteps) inputs(name string) string { return "sha256:" + name }

// Find implements dockerfile.Steps. A registry that does not answer has nothing,
// and so has one whose image nobody vouches for who would have to.
func (r registrySteps) Find(ctx context.Context, name string) v1.Layer {
	image, err := r.client.Pull(ctx, r.tag(name), stepPlatform())
	if err != nil {
		return nil
	}
	if r.signing != nil {
		digest, err := image.Digest()
		if err != nil || vouchedFor(ctx, r.client, r.tag(name), digest, r.inputs(name), r.signing.trusted) != nil {
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
func (r registrySteps) Keep(ctx context.Context, name string, l v1.Layer) error {
	image, err := layer.Assemble([]mutate.Addendum{{Layer: l, MediaType: types.OCILayer}}, stepPlatform(), nil, func(*v1.ConfigFile) {})
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	var signer registry.Signer
	if r.signing != nil {
		signer = r.signing.signer(r.inputs(name))
	}
	if there, ok := r.client.Find(ctx, r.tag(name)); ok && there == digest {
		if signer != nil {
			return r.client.Sign(ctx, digest, r.tag(name), signer)
		}
		return nil
	}
	_, err = r.client.PushWith(ctx, image, r.tag(name), registry.Attached{Sign: signer})
	return err
}

// stepPlatform is what all images of steps say: the platform is in their names.
func stepPlatform() v1.Platform { return v1.Platform{OS: "linux", Architecture: "amd64"} }

// cacheRepository is where the layers of steps are kept for other machines; "" is
// nowhere. A tag has no meaning there.
func (f *Factory) cacheRepository(b *buildFlags) (string, error) {
	cfg, err := f.Config()
	if err != nil {
		return "", err
	}
	ref := cmp.Or(b.Docker.Cache, cfg.CacheRepository)
	if ref == "" {
		return "", nil
	}
	parsed, err := registry.ParseTag(ref)
	return parsed.Name(), err
}
