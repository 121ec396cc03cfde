package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Delete removes the image REGISTRY/NAME@sha256:… from its registry: the manifest
// with all tags that lead to it, and what is attached to it. Layers go when the
// registry collects what nothing refers to; so do the images that an index lists,
// because another one may list them too. An image that is not there is NotFound, a
// registry that deletes nothing a Failure.
func (c *Client) Delete(ctx context.Context, ref string) error {
	r, err := parseDigest(ref)
	if err != nil {
		return err
	}
	// Read first: some registries forget what an image has attached with the image.
	attached, err := c.session(r.Registry, r.Repository, "pull").referrers(ctx, r.Digest)
	s := c.session(r.Registry, r.Repository, "pull,delete")
	if err == nil {
		err = s.deleteManifest(ctx, r.Digest)
	}
	if err == nil {
		err = s.deleteAttached(ctx, attached)
	}
	if status, ok := errors.AsType[*StatusError](err); ok && (status.Status == http.StatusMethodNotAllowed || status.Code == "UNSUPPORTED") {
		return (&fault.Error{Op: "registry.delete", Subject: ref, Err: err}).
			WithHint("%s deletes no images for its users: its own settings or its web page do", r.Registry)
	}
	return c.explain(ctx, "registry.delete", ref, r.Registry, err)
}

// deleteAttached deletes documents about an image that is gone. One that is gone
// already is no error: a registry may take them along.
func (s *session) deleteAttached(ctx context.Context, attached []attest.Descriptor) error {
	for _, d := range attached {
		if err := s.deleteManifest(ctx, d.Digest); err != nil && !isMissing(err) {
			return err
		}
	}
	return nil
}

func (s *session) deleteManifest(ctx context.Context, digest string) error {
	return s.c.retry(ctx, s.c.opts.Policy.Attempts, func(ctx context.Context) error {
		resp, err := s.do(ctx, manifestRequest(http.MethodDelete, digest))
		if err != nil {
			return err
		}
		if resp.StatusCode >= http.StatusMultipleChoices {
			return readStatusError(resp)
		}
		finish(resp)
		return nil
	})
}

// Parts returns the digests of the images that an index lists; none for an image.
func (c *Client) Parts(ctx context.Context, ref string) ([]string, error) {
	r, err := Parse(ref)
	if err != nil {
		return nil, err
	}
	m, err := c.session(r.Registry, r.Repository, "pull").getManifest(ctx, r.identifier(), c.opts.Policy.Attempts)
	if err != nil {
		return nil, c.explain(ctx, "registry.parts", ref, r.Registry, err)
	}
	var index struct {
		Manifests []attest.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(m.raw, &index); err != nil {
		return nil, fault.New(fault.Failure, "registry.parts", ref, "its manifest is not one: %w", err)
	}
	out := make([]string, len(index.Manifests))
	for i, d := range index.Manifests {
		out[i] = d.Digest
	}
	return out, nil
}
