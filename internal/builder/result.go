package builder

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// Result is an image that was built now, or that an earlier build has made from the
// same input. Of the second its Image and Index may be nil until Load.
type Result struct {
	*build.Result
	Unchanged bool   // an earlier build has made it
	Pushed    bool   // it is in its registry under the request's tag
	Key       string // of the build's inputs, in hex; "" when there is none

	Documents build.Documents // what is to be attached to it
	Facts     build.Facts     // for the documents, but for name and key

	// Source provides the image that only its digest is known of; nil where
	// Image or Index is set.
	Source Source
	// Release removes what the image is read from; nil where nothing is left.
	Release func() error
}

// Source provides the image of a Result.
type Source interface {
	// Here reports whether Open reads from this machine: then no other proof is
	// needed that this machine has built the image.
	Here() bool
	// Open reads what an earlier build has left on this machine. It is an error when
	// that is not there, or no longer.
	Open(ctx context.Context) (*build.Result, error)
	// Rebuild makes the image once more.
	Rebuild(ctx context.Context) (*build.Result, error)
}

// PlatformBuild returns what is known of an image that another program has built.
func PlatformBuild(platform v1.Platform, image v1.Image) (build.PlatformBuild, error) {
	built := build.PlatformBuild{Platform: platform, Image: image}
	manifest, err := image.Manifest()
	if err != nil {
		return built, err
	}
	for i, l := range manifest.Layers {
		built.Layers = append(built.Layers, build.LayerInfo{Name: fmt.Sprintf("layer %d", i+1), Digest: l.Digest, Size: l.Size})
	}
	return built, nil
}

// Close removes what the image is read from.
func (r *Result) Close() error {
	if r.Release == nil {
		return nil
	}
	return r.Release()
}

// Loaded reports whether the image itself is at hand, and not its digest alone.
func (r *Result) Loaded() bool { return r.Image != nil || r.Index != nil }

// BuiltHere reports whether this machine has built the image.
func (r *Result) BuiltHere() bool {
	return !r.Unchanged || r.Source != nil && r.Source.Here()
}

// Load makes the image itself available, built once more if need be.
func (r *Result) Load(ctx context.Context) error {
	if r.Loaded() {
		return nil
	}
	if r.Source == nil {
		return fault.New(fault.NotFound, "builder.load", r.Digest.String(), "the image is in its registry and not on this machine")
	}
	result, err := r.Source.Open(ctx)
	if err != nil {
		if result, err = r.Source.Rebuild(ctx); err != nil {
			return err
		}
	}
	r.Result = result
	return nil
}

// Attest writes the documents about an image that is loaded, once. tag is its name.
func (r *Result) Attest(ctx context.Context, tag string) error {
	if r.Attached != nil || r.Documents == (build.Documents{}) {
		return nil
	}
	facts := r.Facts
	facts.Name, facts.Key = ImageName(tag), r.Key
	if facts.Version == "" || facts.Version == "(devel)" {
		facts.Version = "devel"
	}
	var err error
	r.Attached, err = r.Result.Attest(ctx, facts, r.Documents)
	return err
}

// Save leaves the image, whose name is name, in the project's folder dir for a later
// push. tag is where that push goes, "" when it is not known yet.
func (r *Result) Save(ctx context.Context, dir, name, tag string) error {
	if r.Unchanged && build.LayoutMatches(dir, r.Digest, tag, r.Documents) && build.LayoutSavedHere(r.Facts.CacheDir, dir) {
		return nil
	}
	if err := r.Load(ctx); err != nil {
		return err
	}
	if err := r.Attest(ctx, name); err != nil {
		return err
	}
	if err := r.SaveLayout(dir, tag); err != nil {
		return err
	}
	return build.RecordLayout(r.Facts.CacheDir, dir)
}

// Attachments returns what a push to tag brings beside the image.
func (r *Result) Attachments(tag string, signer registry.Signer) registry.Attached {
	return registry.Attached{
		Sign: signer,
		Documents: func(ctx context.Context) ([]attest.Artifact, error) {
			err := r.Attest(ctx, tag)
			return r.Attached, err
		},
	}
}

// ImageName returns the last part of an image's name, without its tag.
func ImageName(tag string) string {
	ref, err := registry.ParseTag(tag)
	if err != nil {
		return ""
	}
	return ref.Repository[strings.LastIndex(ref.Repository, "/")+1:]
}

// Complete reports whether all that goes with an unchanged image is in the
// repository of tag, if the image is: its key is written there last.
func (r *Result) Complete(ctx context.Context, client *registry.Client, tag string) bool {
	if r.Source == nil || !r.Source.Here() || r.Documents == (build.Documents{}) { // the others were found by their key there
		return true
	}
	found, ok := client.Find(ctx, KeyTag(tag, r.Key))
	return ok && found == r.Digest
}

// KeyTag returns the tag under which the image of a build is found by its key, in
// the repository of tag; "" where there is no key.
func KeyTag(tag, key string) string {
	ref, err := registry.ParseTag(tag)
	if err != nil || key == "" {
		return ""
	}
	return ref.Name() + ":kn-lite-key-" + key
}

// InputsOf returns the digest that a signature names for a key; "" for none.
func InputsOf(key string) string {
	if key == "" {
		return ""
	}
	return "sha256:" + key
}
