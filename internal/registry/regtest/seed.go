package regtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/buffered"
)

// Artifact is an image or an index.
type Artifact interface {
	Digest() (v1.Hash, error)
	MediaType() (types.MediaType, error)
	RawManifest() ([]byte, error)
}

// Seed stores an image or index under a tag, past faults and authentication.
func (s *Server) Seed(repo, tag string, artifact Artifact) error {
	switch a := artifact.(type) {
	case v1.Image:
		if err := s.seedImage(repo, a); err != nil {
			return err
		}
	case v1.ImageIndex:
		children, err := partial.Manifests(a)
		if err != nil {
			return err
		}
		for _, child := range children {
			artifact, ok := child.(Artifact)
			if !ok {
				return fmt.Errorf("cannot seed a %T", child)
			}
			digest, err := child.Digest()
			if err != nil {
				return err
			}
			if err := s.Seed(repo, digest.String(), artifact); err != nil {
				return err
			}
		}
	}
	raw, err := artifact.RawManifest()
	if err != nil {
		return err
	}
	mediaType, err := artifact.MediaType()
	if err != nil {
		return err
	}
	reply := buffered.Serve(s.inner, &http.Request{
		Method: http.MethodPut, URL: &url.URL{Path: "/v2/" + repo + "/manifests/" + tag},
		Header: http.Header{"Content-Type": {string(mediaType)}}, Body: io.NopCloser(bytes.NewReader(raw)),
	})
	if reply.Status != http.StatusCreated {
		return fmt.Errorf("seeding %s:%s: %d %s", repo, tag, reply.Status, reply.Body.String())
	}
	return nil
}

func (s *Server) seedImage(repo string, image v1.Image) error {
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	config, err := partial.ConfigLayer(image)
	if err != nil {
		return err
	}
	for _, layer := range append(layers, config) {
		digest, err := layer.Digest()
		if err != nil {
			return err
		}
		rc, err := layer.Compressed()
		if err != nil {
			return err
		}
		content, err := io.ReadAll(rc)
		if err != nil {
			return err
		}
		s.blobs.put(repo, digest.String(), content)
	}
	return nil
}
