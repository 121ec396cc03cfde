package image

import (
	"context"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// The kinds of what is attached to an image.
const (
	SBOM       = "sbom"
	Provenance = "provenance"
	Other      = "other"
)

// Attachment is something that is attached to an image and not a signature.
type Attachment struct {
	Kind   string `json:"kind"` // SBOM, Provenance or Other
	Type   string `json:"type"` // media type
	Digest string `json:"digest"`
}

// Attached returns what is attached to the image with that digest.
func (i *Images) Attached(ctx context.Context, digest v1.Hash) ([]Attachment, error) {
	found, err := i.attached(ctx, digest)
	var out []Attachment
	for _, d := range found {
		kind := Other
		switch d.ArtifactType {
		case attest.SPDXType:
			kind = SBOM
		case attest.InTotoType:
			kind = Provenance
		case attest.SignatureType:
			continue
		}
		out = append(out, Attachment{Kind: kind, Type: d.ArtifactType, Digest: d.Digest})
	}
	return out, err
}

// Signatures returns how many signatures the whole has, none of which is checked.
func (i *Images) Signatures(ctx context.Context) (int, error) { return i.signatures(ctx) }

// Document is a document that is attached to an image.
type Document struct {
	Text   []byte // JSON
	Digest string // of the artifact that holds it
	Others int    // that there are besides, of the same kind
}

// Document returns the document of that type, attest.SPDXType or attest.InTotoType,
// that is attached to the only image of i. word names it in errors.
func (i *Images) Document(ctx context.Context, mediaType, word string) (*Document, error) {
	const op = "image.inspect"
	if len(i.Images) != 1 {
		return nil, fault.Usagef("%s has images for several platforms, and each has a document of its own", i.Name).WithHint("name one with {Platforms}")
	}
	digest, err := i.Images[0].Digest()
	if err != nil {
		return nil, err
	}
	all, err := i.attached(ctx, digest)
	if err != nil {
		return nil, err
	}
	var found []attest.Descriptor
	for _, d := range all {
		if d.ArtifactType == mediaType {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return nil, fault.New(fault.NotFound, op, i.Name, "it has no %s attached", word).
			WithHint("kn-lite build {Push} attaches one")
	}
	artifact, err := i.document(ctx, found[0])
	if err != nil {
		return nil, err
	}
	text, ok := artifact.Content(mediaType)
	// Valid JSON has no control characters that a terminal would act upon.
	if !ok || !json.Valid(text) {
		return nil, fault.New(fault.Failure, op, i.Name, "%s holds no %s", found[0].Digest, word)
	}
	return &Document{Text: text, Digest: found[0].Digest, Others: len(found) - 1}, nil
}
