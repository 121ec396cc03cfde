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
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// maxManifest is what the distribution specification lets a registry limit
// manifests to.
const maxManifest = 4 << 20

// Pull finds the image that ref names for platform, at the registry's mirrors
// in their order and then at the registry itself. Manifest and config have been
// read and verified when it returns; layers are fetched, and verified, when
// they are read, with ctx. A zero platform is linux/amd64.
func (c *Client) Pull(ctx context.Context, ref string, platform v1.Platform) (v1.Image, error) {
	const op = "registry.pull"
	r, err := Parse(ref)
	if err != nil {
		return nil, err
	}
	if platform.OS == "" {
		platform.OS, platform.Architecture = "linux", "amd64"
	}
	sources := c.sources(r)
	var tried []string
	for i, s := range sources {
		image, err := s.pull(ctx, r, platform)
		if err == nil {
			image.sources = sources[i:]
			return image.asImage()
		}
		if i < len(sources)-1 && ctx.Err() == nil {
			tried = append(tried, s.host)
			continue
		}
		err = c.explain(ctx, op, ref, s.host, err)
		if len(tried) > 0 {
			err = &fault.Error{Op: op, Kind: fault.KindOf(err), Subject: "", Err: fmt.Errorf("%w (and not from the mirrors %s)", err, strings.Join(tried, ", "))}
		}
		return nil, err
	}
	return nil, fault.New(fault.Failure, op, ref, "there is no registry to pull from")
}

// sources are the places to pull r from, the registry itself last.
func (c *Client) sources(r Reference) []*session {
	mirrors := c.opts.Mirrors[r.Registry]
	if r.Registry == "index.docker.io" && mirrors == nil {
		mirrors = c.opts.Mirrors["docker.io"]
	}
	var out []*session
	for _, mirror := range mirrors {
		host, prefix, _ := strings.Cut(strings.Trim(mirror, "/"), "/")
		repository := r.Repository
		if prefix != "" {
			repository = prefix + "/" + repository
		}
		out = append(out, c.session(host, repository, "pull"))
	}
	return append(out, c.session(r.Registry, r.Repository, "pull"))
}

// attempts at one of several sources are fewer: the next one is the better retry.
func (s *session) attempts(last bool) int {
	if last {
		return s.c.opts.Policy.Attempts
	}
	return min(2, s.c.opts.Policy.Attempts)
}

// pull reads manifest and config from one source. Without a platform the image of
// an index is not chosen, and one alone is taken whatever it is for.
func (s *session) pull(ctx context.Context, r Reference, platform v1.Platform) (*image, error) {
	last := s.host == r.Registry
	m, err := s.getManifest(ctx, r.identifier(), s.attempts(last))
	if err != nil {
		return nil, err
	}
	if m.mediaType.IsIndex() {
		child, err := choose(r, m, platform)
		if err != nil {
			return nil, err
		}
		if m, err = s.getManifest(ctx, child.String(), s.attempts(last)); err != nil {
			return nil, err
		}
	}
	if !m.mediaType.IsImage() {
		return nil, fault.New(fault.Failure, "registry.pull", r.String(), "it is no image but %s", oneLine(string(m.mediaType)))
	}
	parsed, err := v1.ParseManifest(bytes.NewReader(m.raw))
	if err != nil {
		return nil, fmt.Errorf("the manifest of %s is damaged: %w", r, err)
	}
	if err := checkManifest(parsed); err != nil {
		return nil, fmt.Errorf("the manifest of %s is damaged: %w", r, err)
	}
	img := &image{ctx: ctx, manifest: m, parsed: parsed, sources: []*session{s}}
	if img.config, err = img.readConfig(); err != nil {
		return nil, err
	}
	if platform.Architecture == "" {
		return img, nil // whatever it is for
	}
	return img, img.checkPlatform(r, platform)
}

// choose finds the platform's entry in an index.
func choose(r Reference, m manifest, platform v1.Platform) (v1.Hash, error) {
	index, err := v1.ParseIndexManifest(bytes.NewReader(m.raw))
	if err != nil {
		return v1.Hash{}, fmt.Errorf("the index of %s is damaged: %w", r, err)
	}
	var offered []string
	for _, d := range index.Manifests {
		// Attestations stand in an index as unknown/unknown.
		if d.Platform == nil || d.Platform.OS == "unknown" || !d.MediaType.IsImage() {
			continue
		}
		if platform.Architecture != "" && d.Platform.Satisfies(platform) {
			if err := checkDescriptor(d, "an entry"); err != nil {
				return v1.Hash{}, fmt.Errorf("the index of %s is damaged: %w", r, err)
			}
			return d.Digest, nil
		}
		offered = append(offered, d.Platform.String())
	}
	slices.Sort(offered)
	return v1.Hash{}, fault.New(fault.NotFound, "registry.pull", r.String(), "%w", otherPlatform("it has no image for "+platform.String())).
		WithHint("there are: %s", strings.Join(slices.Compact(offered), ", "))
}

// getManifest reads a manifest by tag or digest and verifies the latter.
func (s *session) getManifest(ctx context.Context, identifier string, attempts int) (manifest, error) {
	var m manifest
	err := s.c.retry(ctx, attempts, func(ctx context.Context) error {
		resp, err := s.do(ctx, manifestRequest(http.MethodGet, identifier))
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return readStatusError(resp)
		}
		defer finish(resp)
		raw, err := io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
		if err != nil {
			return err
		}
		if len(raw) > maxManifest {
			return fmt.Errorf("the manifest of %s/%s:%s is larger than %d bytes", s.host, s.repository, identifier, maxManifest)
		}
		digest, _, err := v1.SHA256(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		if strings.HasPrefix(identifier, "sha256:") && digest.String() != identifier {
			return errRetryable{fmt.Errorf("the manifest %s arrived with the digest %s", identifier, digest)}
		}
		var head struct {
			MediaType types.MediaType `json:"mediaType"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return errRetryable{fmt.Errorf("the manifest of %s/%s:%s is not JSON", s.host, s.repository, identifier)}
		}
		if head.MediaType == "" {
			head.MediaType = types.MediaType(resp.Header.Get("Content-Type"))
		}
		m = manifest{raw: raw, mediaType: head.MediaType, digest: digest}
		return nil
	})
	return m, err
}

// acceptedManifests is every form that images and indexes come in.
const acceptedManifests = string(types.OCIManifestSchema1) + ", " + string(types.OCIImageIndex) + ", " +
	string(types.DockerManifestSchema2) + ", " + string(types.DockerManifestList)

func manifestRequest(method, identifier string) func(context.Context, string) (*http.Request, error) {
	return func(ctx context.Context, base string) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, method, base+"/manifests/"+identifier, nil)
		if err == nil {
			req.Header.Set("Accept", acceptedManifests)
		}
		return req, err
	}
}

// headManifest asks for a manifest's descriptor. A registry that leaves the
// digest out is asked for the whole.
func (s *session) headManifest(ctx context.Context, identifier string) (v1.Descriptor, error) {
	var found v1.Descriptor
	err := s.c.retry(ctx, s.c.opts.Policy.Attempts, func(ctx context.Context) error {
		resp, err := s.do(ctx, manifestRequest(http.MethodHead, identifier))
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return readStatusError(resp)
		}
		finish(resp)
		found = v1.Descriptor{MediaType: types.MediaType(resp.Header.Get("Content-Type")), Size: resp.ContentLength}
		// No digest, or none that parses, leaves it empty.
		found.Digest, err = v1.NewHash(resp.Header.Get("Docker-Content-Digest"))
		if err != nil {
			found.Digest = v1.Hash{}
		}
		return nil
	})
	if err == nil && (found.Digest == (v1.Hash{}) || found.Size < 0) {
		m, err := s.getManifest(ctx, identifier, s.c.opts.Policy.Attempts)
		return v1.Descriptor{MediaType: m.mediaType, Size: int64(len(m.raw)), Digest: m.digest}, err
	}
	return found, err
}

// Head describes what ref names at its registry, mirrors left aside. An image
// that is not there is NotFound.
func (c *Client) Head(ctx context.Context, ref string) (v1.Descriptor, error) {
	r, err := Parse(ref)
	if err != nil {
		return v1.Descriptor{}, err
	}
	found, err := c.session(r.Registry, r.Repository, "pull").headManifest(ctx, r.identifier())
	if err == nil && r.Digest != "" && found.Digest.String() != r.Digest {
		err = fmt.Errorf("the registry answered with %s", found.Digest)
	}
	return found, c.explain(ctx, "registry.head", ref, r.Registry, err)
}

// Digest resolves ref to REGISTRY/NAME@sha256:…
func (c *Client) Digest(ctx context.Context, ref string) (string, error) {
	r, err := Parse(ref)
	if err != nil {
		return "", err
	}
	if r.Digest != "" {
		return r.WithDigest(r.Digest), nil
	}
	found, err := c.Head(ctx, ref)
	if err != nil {
		return "", err
	}
	return r.WithDigest(found.Digest.String()), nil
}

// errDamaged is content that does not match its digest or its size.
var errDamaged = errors.New("the content does not match its digest")
