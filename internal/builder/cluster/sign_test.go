package cluster

import (
	"context"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// keys is somebody who signs.
type keys struct{ key *sign.PrivateKey }

func (k keys) Signer(inputs string) registry.Signer {
	if k.key == nil {
		return nil
	}
	return func(name string, subject attest.Descriptor) (*attest.Artifact, error) {
		return k.key.Sign(sign.Statement{Name: name, Inputs: inputs}, subject)
	}
}
func (keys) Restricts() bool { return true }
func (keys) Check(context.Context, *registry.Client, string, v1.Hash, string) error {
	return nil
}

// TestSignedThenTagged: what a pod has pushed gets the tag that people know once its
// signature is there, and never before.
func TestSignedThenTagged(t *testing.T) {
	server := regtest.New()
	host, stop, err := regtest.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	client, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	tag := host + "/me/hello:v1"
	unsigned, err := UnsignedTag(tag, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Push(t.Context(), image, unsigned); err != nil {
		t.Fatal(err)
	}
	r := &run{request: builder.Request{Tag: tag, Signing: keys{}}, registries: client}
	if err := r.sign(t.Context(), digest); err != nil {
		t.Fatal(err)
	}
	if _, ok := server.Tag("me/hello", "v1"); ok {
		t.Error("without a key the pod itself gives the tag")
	}
	before := len(server.Log())
	r.request.Signing = keys{key}
	if err := r.sign(t.Context(), digest); err != nil {
		t.Fatal(err)
	}
	if got, _ := server.Tag("me/hello", "v1"); got != digest.String() {
		t.Errorf("the tag means %q, want %s", got, digest)
	}
	signed, tagged := 0, 0
	for i, request := range server.Log()[before:] {
		switch {
		case strings.HasPrefix(request, "PUT ") && strings.HasSuffix(request, ".sig"):
			signed = i + 1
		case request == "PUT /v2/me/hello/manifests/v1":
			tagged = i + 1
		}
	}
	if signed == 0 || tagged < signed {
		t.Errorf("signed by request %d, tagged by request %d: %q", signed, tagged, server.Log()[before:])
	}
	ref, err := registry.ParseTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	found, err := client.Signatures(t.Context(), ref.WithDigest(digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Public().Verify(sign.Statement{Name: ref.Name()}, digest.String(), found); err != nil {
		t.Error(err)
	}
	// An image that the pod has not pushed is no reason to move the tag.
	missing := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	if err := r.sign(t.Context(), missing); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an image that is not there: %v", err)
	}
	if got, _ := server.Tag("me/hello", "v1"); got != digest.String() {
		t.Errorf("the tag means %q after a failure", got)
	}
}
