package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// Artifact is what can be pushed: a v1.Image or a v1.ImageIndex.
type Artifact interface {
	MediaType() (types.MediaType, error)
	Digest() (v1.Hash, error)
	RawManifest() ([]byte, error)
}

// Push writes artifact and then points tag (REGISTRY/NAME[:TAG], TAG latest by
// default) at it: all blobs, all manifests by digest, the tag last. It returns
// the reference by digest. When the tag names this very content already, it
// writes nothing.
func (c *Client) Push(ctx context.Context, artifact Artifact, tag string) (string, error) {
	done, err := c.PushWith(ctx, artifact, tag, Attached{})
	return done.Ref, err
}

// PushWith is Push with what is attached to the image: it is written before the tag,
// so that nobody finds an image under the tag that lacks its signature. When the
// tag names this content already, only what is missing is written.
func (c *Client) PushWith(ctx context.Context, artifact Artifact, tag string, with Attached) (Pushed, error) {
	const op = "registry.push"
	ref, err := ParseTag(tag)
	if err != nil {
		return Pushed{}, err
	}
	p := &push{c: c, ref: ref, seen: map[v1.Hash]bool{}, with: with}
	if err := p.collect(artifact); err != nil {
		return Pushed{}, &fault.Error{Op: op, Kind: fault.Failure, Subject: tag, Err: err}
	}
	p.session = c.session(ref.Registry, ref.Repository, "pull,push", p.mountScopes()...)
	if err := p.run(ctx); err != nil {
		return Pushed{}, c.explain(ctx, op, tag, ref.Registry, err)
	}
	p.tally.pushed.Ref = ref.WithDigest(p.top().digest.String())
	return p.tally.pushed, nil
}

// push is one Push under way.
type push struct {
	c         *Client
	ref       Reference
	session   *session
	blobs     []*upload
	manifests []manifest // children before their parents
	seen      map[v1.Hash]bool
	with      Attached
	tally     tally
}

type manifest struct {
	raw       []byte
	mediaType types.MediaType
	digest    v1.Hash
}

func (p *push) top() manifest { return p.manifests[len(p.manifests)-1] }

// collect lists what artifact is made of, each blob and manifest once.
func (p *push) collect(artifact Artifact) error {
	digest, err := artifact.Digest()
	if err != nil {
		return err
	}
	if p.seen[digest] {
		return nil
	}
	p.seen[digest] = true
	switch a := artifact.(type) {
	case v1.Image:
		err = p.collectImage(a)
	case v1.ImageIndex:
		err = p.collectIndex(a)
	default:
		err = fmt.Errorf("cannot push a %T", artifact)
	}
	if err != nil {
		return err
	}
	m := manifest{digest: digest}
	if m.mediaType, err = artifact.MediaType(); err != nil {
		return err
	}
	if m.raw, err = artifact.RawManifest(); err != nil {
		return err
	}
	p.manifests = append(p.manifests, m)
	return nil
}

func (p *push) collectIndex(index v1.ImageIndex) error {
	children, err := partial.Manifests(index)
	if err != nil {
		return err
	}
	for _, child := range children {
		switch child := child.(type) {
		case v1.Image:
			err = p.collect(child)
		case v1.ImageIndex:
			err = p.collect(child)
		case v1.Layer:
			err = p.collectLayer(child, "blob")
		default:
			err = fmt.Errorf("the index holds a %T", child)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *push) collectImage(image v1.Image) error {
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		if err := p.collectLayer(layer, "layer"); err != nil {
			return err
		}
	}
	config, err := partial.ConfigLayer(image)
	if err != nil {
		return err
	}
	return p.collectLayer(config, "config")
}

func (p *push) collectLayer(layer v1.Layer, what string) error {
	mediaType, err := layer.MediaType()
	if err != nil {
		return err
	}
	digest, err := layer.Digest()
	if err != nil {
		return err
	}
	// Foreign layers live at a URL of their own and must not be copied.
	if !mediaType.IsDistributable() || p.seen[digest] {
		return nil
	}
	p.seen[digest] = true
	size, err := layer.Size()
	if err != nil {
		return err
	}
	if err := checkDescriptor(v1.Descriptor{Digest: digest, Size: size}, "a "+what); err != nil {
		return err
	}
	u := &upload{layer: layer, digest: digest, size: size, kind: what, tally: &p.tally}
	if from, ok := layer.(mountable); ok {
		if host, repository := from.source(); host == p.ref.Registry && repository != p.ref.Repository {
			u.mountFrom = repository
		}
	}
	p.blobs = append(p.blobs, u)
	return nil
}

// mountScopes are the permissions to read where blobs can be mounted from.
func (p *push) mountScopes() []string {
	var scopes []string
	asked := map[string]bool{}
	for _, u := range p.blobs {
		if u.mountFrom != "" && !asked[u.mountFrom] {
			asked[u.mountFrom] = true
			scopes = append(scopes, scopeOf(u.mountFrom, "pull"))
		}
	}
	return scopes
}

func (p *push) run(ctx context.Context) error {
	unchanged, err := p.tagIsCurrent(ctx)
	if err != nil {
		return err
	}
	if unchanged {
		for _, u := range p.blobs {
			p.c.transfer(u).end(skipped)
		}
		return p.attachMissing(ctx)
	}
	var attachments []attest.Artifact
	group, groupCtx := parallel.WithContext(ctx)
	// Documents are made while the layers travel.
	group.Go(func() (err error) {
		attachments, err = p.prepare(groupCtx)
		return err
	})
	group.Go(func() error { return p.session.uploadAll(groupCtx, p.blobs) })
	if err := group.Wait(); err != nil {
		return err
	}
	for _, m := range p.manifests {
		if err := p.session.putManifest(ctx, m, m.digest.String()); err != nil {
			return err
		}
	}
	if err := p.session.attach(ctx, attachments); err != nil {
		return err
	}
	return p.session.putManifest(ctx, p.top(), p.ref.Tag)
}

func (s *session) uploadAll(ctx context.Context, blobs []*upload) error {
	group, ctx := parallel.WithContext(ctx)
	group.SetLimit(s.c.opts.Jobs)
	for _, u := range blobs {
		group.Go(func() error { return s.upload(ctx, u) })
	}
	return group.Wait()
}

// tagIsCurrent asks whether the tag names this content already. A registry
// takes a manifest only when all it refers to is there, so nothing else needs
// to be asked then.
func (p *push) tagIsCurrent(ctx context.Context) (bool, error) {
	found, err := p.session.headManifest(ctx, p.ref.Tag)
	var status *StatusError
	if errors.As(err, &status) && !status.setup && (status.Status == http.StatusNotFound || status.Status == http.StatusForbidden) {
		// 403: some registries answer so for a repository that does not exist yet,
		// https://github.com/google/go-containerregistry/issues/1523; a true refusal shows on the first write.
		return false, nil
	}
	return err == nil && found.Digest == p.top().digest, err
}

// putManifest writes m under a digest or a tag.
func (s *session) putManifest(ctx context.Context, m manifest, identifier string) error {
	_, err := s.putReferrer(ctx, m, identifier)
	return err
}

// putReferrer is putManifest for a manifest with a subject. listed reports whether
// the registry keeps the list of a subject's referrers itself.
func (s *session) putReferrer(ctx context.Context, m manifest, identifier string) (listed bool, err error) {
	err = s.c.retry(ctx, s.c.opts.Policy.Attempts, func(ctx context.Context) error {
		resp, err := s.do(ctx, func(ctx context.Context, base string) (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, base+"/manifests/"+identifier, bytes.NewReader(m.raw))
			if err == nil {
				req.Header.Set("Content-Type", string(m.mediaType))
			}
			return req, err
		})
		if err != nil {
			return err
		}
		got := resp.Header.Get("Docker-Content-Digest")
		// The specification wants 201. A 200 or 202 from something else than a
		// registry must not pass for a stored manifest.
		stored := resp.StatusCode == http.StatusCreated ||
			got != "" && (resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusAccepted)
		if !stored {
			return readStatusError(resp)
		}
		finish(resp)
		if got != "" && got != m.digest.String() {
			return errRetryable{fmt.Errorf("the registry stored %s in place of the manifest %s", oneLine(got), m.digest)}
		}
		listed = resp.Header.Get("OCI-Subject") != ""
		return nil
	})
	return listed, err
}
