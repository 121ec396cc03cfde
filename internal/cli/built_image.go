package cli

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// builtImage is an image that was built now, or that an earlier build made from
// the same input. Then its Image and Index are nil, and full gives them.
type builtImage struct {
	*build.Result
	unchanged bool
	pushed    bool                                         // by who built it
	key       string                                       // "" when there is none
	open      func(context.Context) (*build.Result, error) // reads what an earlier build left; nil when nothing is here
	again     func(context.Context) (*build.Result, error) // builds

	// For the documents about it.
	wanted build.Documents
	facts  build.Facts
}

// full is the result with its image, built after all if need be.
func (b *builtImage) full(ctx context.Context) (*build.Result, error) {
	if b.Image != nil || b.Index != nil {
		return b.Result, nil
	}
	var result *build.Result
	err := error(fault.New(fault.NotFound, "build.open", "", "nothing is here"))
	if b.open != nil {
		result, err = b.open(ctx)
	}
	if err != nil {
		if result, err = b.again(ctx); err != nil {
			return nil, err
		}
	}
	b.Result = result
	return result, nil
}

// keep leaves the image, which is called name, in dir for push. tag is where push
// will send it, "" when that is not known yet.
func (b *builtImage) keep(ctx context.Context, dir, name, tag string) error {
	if b.unchanged && build.IsKept(dir, b.Digest, tag, b.wanted) && build.LeftHere(b.facts.CacheDir, dir) {
		return nil
	}
	result, err := b.full(ctx)
	if err != nil {
		return err
	}
	if err := b.attest(ctx, name); err != nil {
		return err
	}
	if err := result.Keep(dir, tag); err != nil {
		return err
	}
	return build.MarkLeft(b.facts.CacheDir, dir)
}

// describedBy is what the documents say about a build that followed spec.
func (b *builtImage) describedBy(spec build.Spec) {
	b.wanted = spec.Documents
	b.facts = build.Facts{Builder: "layers", Epoch: spec.Epoch, CacheDir: spec.CacheDir}
	if spec.Dockerfile != nil {
		b.facts.Builder = "dockerfile"
	}
	b.facts.Source = func(ctx context.Context) *attest.Source { return build.Checkout(ctx, spec.Dir, spec.Environ) }
}

// attached is what a push of b to tag brings beside the image.
func (b *builtImage) attached(tag string, signer registry.Signer) registry.Attached {
	return registry.Attached{
		Sign: signer,
		Documents: func(ctx context.Context) ([]attest.Artifact, error) {
			err := b.attest(ctx, tag)
			return b.Attached, err
		},
	}
}

// complete tells whether all that goes with an unchanged image is in the
// repository, if the image is: its key is written there last.
func (b *builtImage) complete(ctx context.Context, client *registry.Client, tag string) bool {
	if b.open == nil || b.wanted == (build.Documents{}) { // the first was found by its key there
		return true
	}
	found, ok := client.Find(ctx, keyTag(tag, b.key))
	return ok && found == b.Digest
}

// attest writes the documents about an image that is here, once.
func (b *builtImage) attest(ctx context.Context, tag string) error {
	if b.Attached != nil || b.wanted == (build.Documents{}) {
		return nil
	}
	facts := b.facts
	facts.Name, facts.Version, facts.Key = nameOf(tag), currentVersion().Version, b.key
	if facts.Version == "" || facts.Version == "(devel)" {
		facts.Version = "devel"
	}
	var err error
	b.Attached, err = b.Attest(ctx, facts, b.wanted)
	return err
}
