package cli

import (
	"context"
	"errors"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/term"
)

// attachedInfo is something that is attached to an image.
type attachedInfo struct {
	Kind   string `json:"kind"` // sbom, provenance, other
	Type   string `json:"type"` // media type
	Digest string `json:"digest"`
}

// attachedTo names what is attached to an image. It is good to have: a registry that
// has no answer leaves it out.
func attachedTo(ctx context.Context, streams *term.IO, found *image.Images, digest v1.Hash) []attachedInfo {
	attached, err := found.Attached(ctx, digest)
	if err != nil {
		streams.Debug("what is attached to %s is not known: %v", digest, err)
	}
	var out []attachedInfo
	for _, a := range attached {
		out = append(out, attachedInfo(a))
	}
	return out
}

// countSignatures counts what is stored as a signature of the whole.
func countSignatures(ctx context.Context, streams *term.IO, found *image.Images) int {
	n, err := found.Signatures(ctx)
	if err != nil {
		streams.Debug("the signatures of %s are not known: %v", found.Digest, err)
	}
	return n
}

// printDocument prints a document that is attached to the only image of found.
func printDocument(ctx context.Context, streams *term.IO, found *image.Images, mediaType, word string) error {
	document, err := found.Document(ctx, mediaType, word)
	if err != nil {
		if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind == fault.Usage {
			return e.WithHint("name one with --platform")
		}
		return err
	}
	if document.Others > 0 {
		streams.Warn("there are %d documents of this kind; %s is shown", document.Others+1, document.Digest)
	}
	return streams.Exact(strings.TrimSuffix(string(document.Text), "\n"))
}
