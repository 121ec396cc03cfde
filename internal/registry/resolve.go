package registry

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Resolve asks what ref means now, where Pull would read it: at the mirrors in
// their order, then at the registry itself. It costs one HEAD request, and none
// when ref has a digest, which is then the answer.
func (c *Client) Resolve(ctx context.Context, ref string) (v1.Hash, error) {
	r, err := Parse(ref)
	if err != nil {
		return v1.Hash{}, err
	}
	if r.Digest != "" {
		return v1.NewHash(r.Digest)
	}
	found, err := fromSources(ctx, c, r, func(s *session) (v1.Descriptor, error) { return s.headManifest(ctx, r.identifier()) })
	return found.Digest, err
}

// Platforms lists what ref has images for, in the order of its index; for an
// image that stands alone it is the one that its config names.
func (c *Client) Platforms(ctx context.Context, ref string) (platforms []v1.Platform, index bool, err error) {
	r, err := Parse(ref)
	if err != nil {
		return nil, false, err
	}
	platforms, err = fromSources(ctx, c, r, func(s *session) ([]v1.Platform, error) {
		m, err := s.getManifest(ctx, r.identifier(), s.attempts(s.host == r.Registry))
		if err != nil {
			return nil, err
		}
		if index = m.mediaType.IsIndex(); index {
			return platformsOf(r, m)
		}
		parsed, err := v1.ParseManifest(bytes.NewReader(m.raw))
		if err == nil && m.mediaType.IsImage() {
			err = checkManifest(parsed)
		}
		if err != nil || !m.mediaType.IsImage() {
			return nil, fault.New(fault.Failure, "registry.platforms", r.String(), "it is no image but %s", oneLine(string(m.mediaType)))
		}
		alone := &image{ctx: ctx, manifest: m, parsed: parsed, sources: []*session{s}}
		if alone.config, err = alone.readConfig(); err != nil {
			return nil, err
		}
		config, err := alone.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("the config of %s is damaged: %w", r, err)
		}
		return []v1.Platform{{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}}, nil
	})
	return platforms, index, err
}

func platformsOf(r Reference, m manifest) ([]v1.Platform, error) {
	index, err := v1.ParseIndexManifest(bytes.NewReader(m.raw))
	if err != nil {
		return nil, fmt.Errorf("the index of %s is damaged: %w", r, err)
	}
	var out []v1.Platform
	for _, d := range index.Manifests {
		// Attestations stand in an index as unknown/unknown.
		if d.Platform != nil && d.Platform.OS != "unknown" && d.MediaType.IsImage() {
			out = append(out, *d.Platform)
		}
	}
	return out, nil
}

// fromSources asks the places to pull r from until one of them answers.
func fromSources[T any](ctx context.Context, c *Client, r Reference, ask func(*session) (T, error)) (T, error) {
	sources := c.sources(r)
	var tried []string
	for i, s := range sources {
		found, err := ask(s)
		if err == nil || i == len(sources)-1 || ctx.Err() != nil {
			err = c.explain(ctx, "registry.resolve", r.String(), s.host, err)
			if err != nil && len(tried) > 0 {
				err = &fault.Error{Op: "registry.resolve", Kind: fault.KindOf(err), Err: fmt.Errorf("%w (and not from the mirrors %s)", err, strings.Join(tried, ", "))}
			}
			return found, err
		}
		tried = append(tried, s.host)
	}
	var none T
	return none, fault.New(fault.Failure, "registry.resolve", r.String(), "there is no registry to ask")
}

// Tag points tag at artifact, whose blobs and manifests must be in tag's
// repository already. Only the top manifest is sent.
func (c *Client) Tag(ctx context.Context, artifact Artifact, tag string) error {
	ref, err := ParseTag(tag)
	if err != nil {
		return err
	}
	var m manifest
	if m.raw, err = artifact.RawManifest(); err == nil {
		if m.mediaType, err = artifact.MediaType(); err == nil {
			m.digest, err = artifact.Digest()
		}
	}
	if err != nil {
		return &fault.Error{Op: "registry.tag", Subject: tag, Err: err}
	}
	s := c.session(ref.Registry, ref.Repository, "pull,push")
	return c.explain(ctx, "registry.tag", tag, ref.Registry, s.putManifest(ctx, m, ref.Tag))
}

// Retag makes tag mean what the same repository has under digest. When it does
// already, nothing is written: moved is false.
func (c *Client) Retag(ctx context.Context, digest v1.Hash, tag string) (moved bool, err error) {
	ref, err := ParseTag(tag)
	if err != nil {
		return false, err
	}
	p := &push{c: c, ref: ref, manifests: []manifest{{digest: digest}}}
	p.session = c.session(ref.Registry, ref.Repository, "pull,push")
	unchanged, err := p.tagIsCurrent(ctx)
	if err == nil && !unchanged {
		var m manifest
		if m, err = p.session.getManifest(ctx, digest.String(), c.opts.Policy.Attempts); err == nil {
			err = p.session.putManifest(ctx, m, ref.Tag)
		}
	}
	return err == nil && !unchanged, c.explain(ctx, "registry.tag", tag, ref.Registry, err)
}

// Find asks once what tag means. It is for answers that are good to have: a
// registry that is not there, slow to let somebody in or out of order counts as
// one that does not know the tag, and the next request will say so.
func (c *Client) Find(ctx context.Context, tag string) (v1.Hash, bool) {
	ref, err := ParseTag(tag)
	if err != nil {
		return v1.Hash{}, false
	}
	// The permissions of the push that usually follows: one token serves both.
	s := c.session(ref.Registry, ref.Repository, "pull,push")
	resp, err := s.do(ctx, manifestRequest(http.MethodHead, ref.Tag))
	if err != nil {
		return v1.Hash{}, false
	}
	finish(resp)
	digest, err := v1.NewHash(resp.Header.Get("Docker-Content-Digest"))
	return digest, err == nil && resp.StatusCode == http.StatusOK
}
