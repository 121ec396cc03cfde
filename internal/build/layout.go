package build

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
)

const (
	mediaTypeIndex    = types.OCIImageIndex
	mediaTypeManifest = types.OCIManifestSchema1
)

// layoutWriter writes an OCI image layout
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
// Unlike ggcr's it checks what it writes against the digest and does not lose
// the error of a close.
type layoutWriter struct {
	root *os.Root
	dir  string // below root
}

func (w layoutWriter) start() error {
	if err := w.root.MkdirAll(path.Join(w.dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	return w.root.WriteFile(path.Join(w.dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

// finish writes the index of the layout, which makes it valid: the image, and
// what hangs on it.
func (w layoutWriter) finish(all []v1.Descriptor) error {
	raw, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: mediaTypeIndex, Manifests: all})
	if err != nil {
		return err
	}
	return w.root.WriteFile(path.Join(w.dir, indexFile), raw, 0o644)
}

// image writes manifest, config and the layers that want selects.
func (w layoutWriter) image(image v1.Image, want func(v1.Hash) bool) error {
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for i, descriptor := range manifest.Layers {
		if !want(descriptor.Digest) {
			continue
		}
		content, err := layers[i].Compressed()
		if err != nil {
			return err
		}
		if err := w.blob(descriptor.Digest, content); err != nil {
			return err
		}
	}
	config, err := image.RawConfigFile()
	if err != nil {
		return err
	}
	if err := w.bytes(manifest.Config.Digest, config); err != nil {
		return err
	}
	raw, err := image.RawManifest()
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	return w.bytes(digest, raw)
}

// artifact writes what hangs on the image.
func (w layoutWriter) artifact(a attest.Artifact) (*v1.Descriptor, error) {
	raw, err := a.RawManifest()
	if err != nil {
		return nil, err
	}
	for _, content := range append([][]byte{raw, a.Config().Content}, contentsOf(a)...) {
		if err := w.bytes(v1.Hash{Algorithm: "sha256", Hex: hexDigest(content)}, content); err != nil {
			return nil, err
		}
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: hexDigest(raw)}
	return &v1.Descriptor{MediaType: mediaTypeManifest, Digest: digest, Size: int64(len(raw)), ArtifactType: a.Type}, nil
}

func contentsOf(a attest.Artifact) (out [][]byte) {
	for _, b := range a.Blobs {
		out = append(out, b.Content)
	}
	return out
}

func (w layoutWriter) bytes(digest v1.Hash, content []byte) error {
	return w.blob(digest, io.NopCloser(bytes.NewReader(content)))
}

// blob writes content, which must be what digest says, and closes it.
func (w layoutWriter) blob(digest v1.Hash, content io.ReadCloser) (err error) {
	defer func() { err = errors.Join(err, content.Close()) }()
	f, err := w.root.OpenFile(path.Join(w.dir, blobPath(digest)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil // two images share the layer
	}
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), content)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != digest.Hex {
		return fmt.Errorf("blob %s has the content of sha256:%s", digest, got)
	}
	return nil
}

// indexFile is the file of a layout that says what is in it.
const indexFile = "index.json"

// blobPath is where a layout has a blob.
func blobPath(digest v1.Hash) string { return path.Join("blobs", digest.Algorithm, digest.Hex) }

func blobFile(dir string, digest v1.Hash) string {
	return filepath.Join(dir, filepath.FromSlash(blobPath(digest)))
}
