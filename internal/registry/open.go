package registry

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// OpenLayout reads the one image or index of an OCI layout, a folder as
// https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md describes.
func OpenLayout(dir string) (Artifact, error) {
	const op = "registry.layout"
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, op, dir, "there is no such folder")
	}
	path, index, parsed, err := readLayout(dir)
	if err != nil {
		return nil, notALayout(dir, err)
	}
	images := slices.DeleteFunc(slices.Clone(parsed.Manifests), func(d v1.Descriptor) bool { return refers(path, d) })
	if len(images) != 1 {
		return nil, fault.New(fault.Usage, op, dir, "the layout has %d images, want one", len(images))
	}
	only := images[0]
	var artifact Artifact
	switch {
	case only.MediaType.IsIndex():
		artifact, err = index.ImageIndex(only.Digest)
	case only.MediaType.IsImage():
		artifact, err = index.Image(only.Digest)
	default:
		err = errors.New("neither an image nor an index: " + oneLine(string(only.MediaType)))
	}
	if err != nil {
		return nil, notALayout(dir, err)
	}
	return artifact, nil
}

func readLayout(dir string) (layout.Path, v1.ImageIndex, *v1.IndexManifest, error) {
	path, err := layout.FromPath(dir)
	if err != nil {
		return "", nil, nil, err
	}
	index, err := path.ImageIndex()
	if err != nil {
		return "", nil, nil, err
	}
	parsed, err := index.IndexManifest()
	return path, index, parsed, err
}

func notALayout(dir string, err error) error {
	return fault.New(fault.Usage, "registry.layout", dir, "not an OCI layout: %w", err).
		WithHint("a layout is a folder with index.json, oci-layout and blobs/")
}

// refers tells whether an entry of a layout hangs on another one. Its type says
// nothing: go-containerregistry gives one to images too.
func refers(path layout.Path, d v1.Descriptor) bool {
	if !d.MediaType.IsImage() {
		return false
	}
	raw, err := path.Bytes(d.Digest)
	if err != nil {
		return false // it is missed where it is needed
	}
	var m attest.Manifest
	return json.Unmarshal(raw, &m) == nil && m.Subject != nil
}

// LayoutAttached is what hangs on the image of an OCI layout: the artifacts that
// stand beside it in index.json.
func LayoutAttached(dir string) ([]attest.Artifact, error) {
	path, _, parsed, err := readLayout(dir)
	if err != nil {
		return nil, notALayout(dir, err)
	}
	var out []attest.Artifact
	for _, d := range parsed.Manifests {
		if !refers(path, d) {
			continue
		}
		raw, err := path.Bytes(d.Digest)
		if err != nil {
			return nil, notALayout(dir, err)
		}
		a, err := attest.ReadArtifact(raw, func(blob attest.Descriptor) ([]byte, error) {
			digest, err := v1.NewHash(blob.Digest)
			if err != nil {
				return nil, err
			}
			return path.Bytes(digest)
		})
		if err != nil {
			return nil, notALayout(dir, err)
		}
		out = append(out, *a)
	}
	return out, nil
}

// OpenTar reads the one image of a tarball as `docker save` and
// `kn-lite build --output tar:FILE` write it.
func OpenTar(file string) (Artifact, error) {
	const op = "registry.tar"
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, op, file, "there is no such file")
	}
	image, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		return nil, fault.New(fault.Usage, op, file, "not an image tarball: %w", err).
			WithHint("it must be what `docker save` or `kn-lite build --output tar:FILE` writes, with one image in it")
	}
	return image, nil
}
