package cli

import (
	"cmp"
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// inputsOf returns the digest that a signature names for a key; "" for none.
func inputsOf(key string) string {
	if key == "" {
		return ""
	}
	return "sha256:" + key
}

// signer returns what signs an image that was built from inputs ("" makes no
// claim about them); nil where nothing is signed.
func (a *attestFlags) signer(inputs string) registry.Signer {
	if a.key == nil {
		return nil
	}
	return func(name string, subject attest.Descriptor) (*attest.Artifact, error) {
		return a.key.Sign(sign.Statement{Name: name, Inputs: inputs}, subject)
	}
}

// addVerifyKey adds the public key in file, if one is named, to the trusted ones.
func (a *attestFlags) addVerifyKey(file string) error {
	if file == "" {
		return nil
	}
	key, err := openPublicKey(file)
	if err == nil {
		a.trusted = append(a.trusted, key)
	}
	return err
}

// vouchedFor wants the image digest in the repository of tag to have a signature
// by one of trusted that says that it was built from inputs. Without trusted keys
// there is nothing to check.
func vouchedFor(ctx context.Context, client *registry.Client, tag string, digest v1.Hash, inputs string, trusted []*sign.PublicKey) error {
	if len(trusted) == 0 {
		return nil
	}
	ref, err := registry.ParseTag(tag)
	if err != nil {
		return err
	}
	found, err := client.Signatures(ctx, ref.WithDigest(digest.String()))
	if err != nil {
		return err
	}
	var refused error
	for _, key := range trusted {
		err := key.Verify(sign.Statement{Name: ref.Name(), Inputs: inputs}, digest.String(), found)
		if err == nil {
			return nil
		}
		refused = cmp.Or(refused, err)
	}
	return refused
}
