package registry

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// signatureTag is where cosign 1 and 2 look for signatures.
func signatureTag(digest string) string { return referrersTag(digest) + ".sig" }

// referrersTag is where the list of referrers is in a registry that does not keep
// it itself (distribution specification, "Referrers Tag Schema").
func referrersTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// withOthers adds a new signature to those that stand under the image's signature
// tag. Stored says that it is one of them.
func (s *session) withOthers(ctx context.Context, made *attest.Artifact) (*attest.Artifact, error) {
	before, err := s.artifact(ctx, signatureTag(made.Subject.Digest), maxPayload)
	if isMissing(err) {
		return made, nil
	}
	if err != nil {
		return nil, err
	}
	for _, b := range made.Blobs {
		if slices.ContainsFunc(before.Blobs, func(old attest.Blob) bool { return sameSignature(old, b) }) {
			made.Stored = true
			return made, nil
		}
	}
	made.Blobs = append(before.Blobs, made.Blobs...)
	return made, nil
}

// list adds to the list of subject's referrers.
func (s *session) list(ctx context.Context, subject string, added []attest.Descriptor) error {
	index := referrersIndex{SchemaVersion: 2, MediaType: string(types.OCIImageIndex)}
	m, err := s.getManifest(ctx, referrersTag(subject), s.c.opts.Policy.Attempts)
	switch {
	case isMissing(err):
	case err != nil:
		return err
	case json.Unmarshal(m.raw, &index) != nil || !m.mediaType.IsIndex():
		return fault.New(fault.Conflict, "registry.attach", s.host+"/"+s.repository+":"+referrersTag(subject), "the tag of the list of referrers holds something else")
	}
	before := len(index.Manifests)
	for _, d := range added {
		if !slices.ContainsFunc(index.Manifests, func(old attest.Descriptor) bool { return old.Digest == d.Digest }) {
			index.Manifests = append(index.Manifests, d)
		}
	}
	if len(index.Manifests) == before {
		return nil
	}
	// Those that were added at once come in any order.
	slices.SortFunc(index.Manifests[before:], func(a, b attest.Descriptor) int { return strings.Compare(a.Digest, b.Digest) })
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	digest, err := v1.NewHash(attest.Digest(raw))
	if err != nil {
		return err
	}
	return s.putManifest(ctx, manifest{raw: raw, mediaType: types.OCIImageIndex, digest: digest}, referrersTag(subject))
}

type referrersIndex struct {
	SchemaVersion int                 `json:"schemaVersion"`
	MediaType     string              `json:"mediaType"`
	Manifests     []attest.Descriptor `json:"manifests"`
}
