package registry

import (
	"context"
	"errors"
	"net/http"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// Attached is what a push brings beside the image.
type Attached struct {
	// Documents makes what is attached to the image, while the layers are on their way;
	// nil is nothing.
	Documents func(ctx context.Context) ([]attest.Artifact, error)
	// Sign signs the image, or the index, under the name that it is pushed to; nil
	// leaves it unsigned.
	Sign Signer
}

// Signer makes the signature of what is known as name (REGISTRY/NAME).
type Signer func(name string, subject attest.Descriptor) (*attest.Artifact, error)

// prepare makes what is to be attached and brings its blobs to the registry.
func (p *push) prepare(ctx context.Context) ([]attest.Artifact, error) {
	var out []attest.Artifact
	if p.with.Documents != nil {
		documents, err := p.with.Documents(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, documents...)
	}
	if p.with.Sign != nil {
		signature, err := p.signature(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, *signature)
	}
	return out, p.session.uploadParts(ctx, out, &p.tally)
}

func (p *push) signature(ctx context.Context) (*attest.Artifact, error) {
	top := p.top()
	subject := attest.Descriptor{MediaType: string(top.mediaType), Digest: top.digest.String(), Size: int64(len(top.raw))}
	made, err := p.with.Sign(p.ref.Name(), subject)
	if err != nil {
		return nil, err
	}
	return p.session.withOthers(ctx, made)
}

// attachMissing is for an image that is there under its tag already.
func (p *push) attachMissing(ctx context.Context) error {
	if p.with.Documents == nil && p.with.Sign == nil {
		return nil
	}
	var all []attest.Artifact
	if p.with.Documents != nil {
		documents, err := p.with.Documents(ctx)
		if err != nil {
			return err
		}
		all = documents
	}
	there := make([]bool, len(all))
	group, groupCtx := parallel.WithContext(ctx)
	for i, a := range all {
		group.Go(func() error {
			d, err := a.Descriptor()
			if err == nil {
				there[i], err = p.session.has(groupCtx, d.Digest)
			}
			return err
		})
	}
	var signature *attest.Artifact
	if p.with.Sign != nil {
		group.Go(func() (err error) {
			signature, err = p.signature(groupCtx)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var missing []attest.Artifact
	for i, a := range all {
		if !there[i] {
			missing = append(missing, a)
		}
	}
	if signature != nil && !signature.Stored {
		missing = append(missing, *signature)
	}
	if err := p.session.uploadParts(ctx, missing, &p.tally); err != nil {
		return err
	}
	return p.session.attach(ctx, missing)
}

// Sign signs what the repository of tag has, or will have, under digest. A
// signature that is there already is not written again.
func (c *Client) Sign(ctx context.Context, digest v1.Hash, tag string, sign Signer) error {
	ref, err := ParseTag(tag)
	if err != nil {
		return err
	}
	s := c.session(ref.Registry, ref.Repository, "pull,push")
	return c.explain(ctx, "registry.sign", ref.WithDigest(digest.String()), ref.Registry, s.sign(ctx, ref, digest, sign))
}

func (s *session) sign(ctx context.Context, ref Reference, digest v1.Hash, sign Signer) error {
	// The subject's size and type are part of what is written.
	found, err := s.headManifest(ctx, digest.String())
	if err != nil {
		return err
	}
	made, err := sign(ref.Name(), attest.Descriptor{MediaType: string(found.MediaType), Digest: digest.String(), Size: found.Size})
	if err != nil {
		return err
	}
	if made, err = s.withOthers(ctx, made); err != nil || made.Stored {
		return err
	}
	all := []attest.Artifact{*made}
	if err := s.uploadParts(ctx, all, nil); err != nil {
		return err
	}
	return s.attach(ctx, all)
}

// has asks whether the repository has a manifest.
func (s *session) has(ctx context.Context, identifier string) (bool, error) {
	_, err := s.headManifest(ctx, identifier)
	if isMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// isMissing tells the answer "there is none" from a registry in trouble.
func isMissing(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && !status.setup && status.Status == http.StatusNotFound
}

// uploadParts brings the blobs of artifacts to the registry, each once.
func (s *session) uploadParts(ctx context.Context, all []attest.Artifact, count *tally) error {
	var uploads []*upload
	seen := map[string]bool{}
	for _, a := range all {
		for _, b := range append([]attest.Blob{a.Config()}, a.Blobs...) {
			u := &upload{layer: static.NewLayer(b.Content, types.MediaType(b.MediaType)), size: int64(len(b.Content)), kind: "attestation", tally: count}
			var err error
			if u.digest, err = u.layer.Digest(); err != nil {
				return err
			}
			if !seen[u.digest.Hex] {
				seen[u.digest.Hex] = true
				uploads = append(uploads, u)
			}
		}
	}
	return s.uploadAll(ctx, uploads)
}

// attach writes the manifests of artifacts whose blobs are there, and where the
// registry does not keep the list of referrers, that list.
func (s *session) attach(ctx context.Context, all []attest.Artifact) error {
	var mu sync.Mutex
	unlisted := map[string][]attest.Descriptor{} // by subject
	group, groupCtx := parallel.WithContext(ctx)
	group.SetLimit(s.c.opts.Jobs)
	for _, a := range all {
		group.Go(func() error {
			d, listed, err := s.putArtifact(groupCtx, a)
			if err == nil && !listed {
				mu.Lock()
				defer mu.Unlock()
				unlisted[a.Subject.Digest] = append(unlisted[a.Subject.Digest], d)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return s.refused(err)
	}
	for subject, added := range unlisted {
		if err := s.list(ctx, subject, added); err != nil {
			return s.refused(err)
		}
	}
	return nil
}

// refused is for registries that take images and nothing else.
func (s *session) refused(err error) error {
	var status *StatusError
	if !errors.As(err, &status) || retryableStatus(status.Status) || status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden {
		return err
	}
	return &fault.Error{
		Op: "registry.attach", Kind: fault.Failure, Subject: s.host + "/" + s.repository, Err: status,
		Hint: "the registry does not take what belongs to the image, and the tag is where it was; to push the image alone: {NoSBOM} {NoProvenance}, and no {SignKey}",
	}
}

// putArtifact writes one manifest: a signature's under the tag where cosign looks
// for it, all others by digest.
func (s *session) putArtifact(ctx context.Context, a attest.Artifact) (attest.Descriptor, bool, error) {
	d, err := a.Descriptor()
	if err != nil {
		return d, false, err
	}
	raw, err := a.RawManifest()
	if err != nil {
		return d, false, err
	}
	m := manifest{raw: raw, mediaType: types.MediaType(d.MediaType)}
	if m.digest, err = v1.NewHash(d.Digest); err != nil {
		return d, false, err
	}
	at := d.Digest
	if a.Type == attest.SignatureType {
		at = signatureTag(a.Subject.Digest)
	}
	listed, err := s.putReferrer(ctx, m, at)
	return d, listed, err
}
