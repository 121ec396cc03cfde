package cli

import (
	"context"
	"encoding/json"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// attachedInfo is something that hangs on an image.
type attachedInfo struct {
	Kind   string `json:"kind"` // sbom, provenance, other
	Type   string `json:"type"` // media type
	Digest string `json:"digest"`
}

// attachedTo names what hangs on an image. It is good to have: a registry that
// has no answer leaves it out.
func (f *Factory) attachedTo(ctx context.Context, a *artifact, digest v1.Hash) []attachedInfo {
	found, err := a.Attached(ctx, digest)
	if err != nil {
		f.IO.Debug("what hangs on %s is not known: %v", digest, err)
	}
	kinds := map[string]string{attest.SPDXType: "sbom", attest.InTotoType: "provenance"}
	var out []attachedInfo
	for _, d := range found {
		switch kind, ok := kinds[d.ArtifactType]; {
		case ok:
			out = append(out, attachedInfo{Kind: kind, Type: d.ArtifactType, Digest: d.Digest})
		case d.ArtifactType != attest.SignatureType:
			out = append(out, attachedInfo{Kind: "other", Type: d.ArtifactType, Digest: d.Digest})
		}
	}
	return out
}

// countSignatures counts what is stored as a signature of the whole.
func (f *Factory) countSignatures(ctx context.Context, a *artifact) int {
	ref, err := registry.Parse(a.Name)
	if err != nil || a.Local {
		return 0
	}
	client, err := f.Registry()
	if err != nil {
		return 0
	}
	found, err := client.Signatures(ctx, ref.WithDigest(a.Digest.String()))
	if err != nil {
		f.IO.Debug("the signatures of %s are not known: %v", a.Digest, err)
	}
	return len(found)
}

// printDocument prints a document that hangs on the only image of a.
func (f *Factory) printDocument(ctx context.Context, a *artifact, kind, word string) error {
	if len(a.Images) != 1 {
		return fault.Usagef("%s has images for several platforms, and each has a document of its own", a.Name).WithHint("name one with --platform")
	}
	digest, err := a.Images[0].Digest()
	if err != nil {
		return err
	}
	all, err := a.Attached(ctx, digest)
	if err != nil {
		return err
	}
	var found []attest.Descriptor
	for _, d := range all {
		if d.ArtifactType == kind {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return fault.New(fault.NotFound, "image.inspect", a.Name, "no %s hangs on it", word).
			WithHint("kn-lite build --push attaches one")
	}
	if len(found) > 1 {
		f.IO.Warn("there are %d documents of this kind; %s is shown", len(found), found[0].Digest)
	}
	document, err := a.Document(ctx, found[0])
	if err != nil {
		return err
	}
	text, ok := document.Content(kind)
	// Valid JSON has no control characters that a terminal would act upon.
	if !ok || !json.Valid(text) {
		return fault.New(fault.Failure, "image.inspect", a.Name, "%s holds no %s", found[0].Digest, word)
	}
	return f.IO.Exact(strings.TrimSuffix(string(text), "\n"))
}
