package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Whoever may push to a repository decides what is attached to its images. This bounds
// what is read of it: a document, what a signature is over, and how many of these.
const (
	maxDocument   = 64 << 20
	maxPayload    = 64 << 10
	maxSignatures = 100
)

// parseDigest is Parse for questions about one image, and not about whatever a
// tag means by then.
func parseDigest(ref string) (Reference, error) {
	r, err := Parse(ref)
	if err == nil && r.Digest == "" {
		err = fault.New(fault.Usage, "registry.parse", "image "+quote(ref), "a reference by digest is needed here")
	}
	return r, err
}

// Referrers lists what is attached to the image REGISTRY/NAME@sha256:…, as its registry
// tells, mirrors left aside. Nothing of it has been checked.
func (c *Client) Referrers(ctx context.Context, ref string) ([]attest.Descriptor, error) {
	r, err := parseDigest(ref)
	if err != nil {
		return nil, err
	}
	found, err := c.session(r.Registry, r.Repository, "pull").referrers(ctx, r.Digest)
	return found, c.explain(ctx, "registry.referrers", ref, r.Registry, err)
}

// referrers asks the registry, and where it has no answer looks under the tag
// that stands in for one.
func (s *session) referrers(ctx context.Context, digest string) ([]attest.Descriptor, error) {
	var index referrersIndex
	known := false
	err := s.c.retry(ctx, s.c.opts.Policy.Attempts, func(ctx context.Context) error {
		resp, err := s.do(ctx, func(ctx context.Context, base string) (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/referrers/"+digest, nil)
			if err == nil {
				req.Header.Set("Accept", string(types.OCIImageIndex))
			}
			return req, err
		})
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			refused := readStatusError(resp)
			if refused.Status == http.StatusUnauthorized || retryableStatus(refused.Status) {
				return refused
			}
			return nil // 404, and 400 or 405 from registries that take it for something else
		}
		defer finish(resp)
		raw, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest))
		if err != nil {
			return err
		}
		// A web page that answers everything with 200 is no list.
		known = json.Unmarshal(raw, &index) == nil && index.MediaType == string(types.OCIImageIndex)
		return nil
	})
	if err != nil || known {
		return valid(index.Manifests), err
	}
	m, err := s.getManifest(ctx, referrersTag(digest), s.c.opts.Policy.Attempts)
	if isMissing(err) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(m.raw, &index)
	}
	return valid(index.Manifests), err
}

// valid leaves out what cannot be asked for, and must not be shown.
func valid(all []attest.Descriptor) []attest.Descriptor {
	return slices.DeleteFunc(all, func(d attest.Descriptor) bool {
		_, err := v1.NewHash(d.Digest)
		return err != nil
	})
}

// Fetch reads the artifact REGISTRY/NAME@sha256:… with its documents, and checks
// that each is what its digest says.
func (c *Client) Fetch(ctx context.Context, ref string) (*attest.Artifact, error) {
	r, err := Parse(ref)
	if err != nil {
		return nil, err
	}
	a, err := c.session(r.Registry, r.Repository, "pull").artifact(ctx, r.identifier(), maxDocument)
	return a, c.explain(ctx, "registry.fetch", ref, r.Registry, err)
}

// artifact reads what is stored under identifier; none of its blobs may be larger
// than limit.
func (s *session) artifact(ctx context.Context, identifier string, limit int64) (*attest.Artifact, error) {
	m, err := s.getManifest(ctx, identifier, s.c.opts.Policy.Attempts)
	if err != nil {
		return nil, err
	}
	parts := 0
	return attest.ReadArtifact(m.raw, func(d attest.Descriptor) ([]byte, error) {
		if parts++; parts > maxSignatures {
			return nil, fmt.Errorf("%s has more than %d parts", identifier, maxSignatures)
		}
		if d.Size < 0 || d.Size > limit {
			return nil, fmt.Errorf("a blob of %s has %d bytes, and %d is the limit", identifier, d.Size, limit)
		}
		digest, err := v1.NewHash(d.Digest)
		if err != nil {
			return nil, fmt.Errorf("a blob of %s has no digest", identifier)
		}
		from := &image{ctx: ctx, parsed: &v1.Manifest{}, sources: []*session{s}}
		blob := from.open(v1.Descriptor{Digest: digest, Size: d.Size})
		content, err := io.ReadAll(blob)
		return content, errors.Join(err, blob.Close())
	})
}

// Signatures finds what may be signatures of the image REGISTRY/NAME@sha256:…:
// under the tag where cosign puts them, and among its referrers. None of them has
// been checked.
func (c *Client) Signatures(ctx context.Context, ref string) ([]attest.Blob, error) {
	r, err := parseDigest(ref)
	if err != nil {
		return nil, err
	}
	found, err := c.session(r.Registry, r.Repository, "pull").signatures(ctx, r.Digest)
	return found, c.explain(ctx, "registry.signatures", ref, r.Registry, err)
}

func (s *session) signatures(ctx context.Context, digest string) ([]attest.Blob, error) {
	others, err := s.referrers(ctx, digest)
	if err != nil {
		return nil, err
	}
	at := []string{signatureTag(digest)}
	for _, d := range others {
		if d.ArtifactType == attest.SignatureType {
			at = append(at, d.Digest)
		}
	}
	var out []attest.Blob
	for _, identifier := range at[:min(len(at), maxSignatures)] {
		a, err := s.artifact(ctx, identifier, maxPayload)
		if isMissing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, b := range a.Blobs {
			// What stands under the tag is a referrer too, as a rule.
			known := slices.ContainsFunc(out, func(old attest.Blob) bool { return sameSignature(old, b) })
			if b.MediaType == attest.PayloadType && !known {
				out = append(out, b)
			}
		}
	}
	return out, nil
}

func sameSignature(a, b attest.Blob) bool {
	return bytes.Equal(a.Content, b.Content) && a.Annotations[attest.AnnotationSignature] == b.Annotations[attest.AnnotationSignature]
}
