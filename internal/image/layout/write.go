package layout

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

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
)

// Writer writes a layout. Unlike go-containerregistry's it checks what it writes
// against the digest and does not lose the error of a close.
type Writer struct {
	Root *os.Root
	Dir  string // below Root
}

// Start makes the folders.
func (w Writer) Start() error {
	if err := w.Root.MkdirAll(path.Join(w.Dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	return w.Root.WriteFile(path.Join(w.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

// Finish writes the index of the layout, which makes it valid: the image, and
// what is attached to it.
func (w Writer) Finish(all []v1.Descriptor) error {
	raw, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: all})
	if err != nil {
		return err
	}
	return w.Root.WriteFile(path.Join(w.Dir, IndexFile), raw, 0o644)
}

// Image writes manifest, config and the layers that want selects.
func (w Writer) Image(image v1.Image, want func(v1.Hash) bool) error {
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
	if err := w.Bytes(manifest.Config.Digest, config); err != nil {
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
	return w.Bytes(digest, raw)
}

// Artifact writes what is attached to the image.
func (w Writer) Artifact(a attest.Artifact) (*v1.Descriptor, error) {
	raw, err := a.RawManifest()
	if err != nil {
		return nil, err
	}
	for _, content := range append([][]byte{raw, a.Config().Content}, contentsOf(a)...) {
		if err := w.Bytes(v1.Hash{Algorithm: "sha256", Hex: hexDigest(content)}, content); err != nil {
			return nil, err
		}
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: hexDigest(raw)}
	return &v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: int64(len(raw)), ArtifactType: a.Type}, nil
}

func contentsOf(a attest.Artifact) (out [][]byte) {
	for _, b := range a.Blobs {
		out = append(out, b.Content)
	}
	return out
}

// Bytes writes a small blob, which must be what digest says.
func (w Writer) Bytes(digest v1.Hash, content []byte) error {
	return w.blob(digest, io.NopCloser(bytes.NewReader(content)))
}

// blob writes content, which must be what digest says, and closes it.
func (w Writer) blob(digest v1.Hash, content io.ReadCloser) (err error) {
	defer func() { err = errors.Join(err, content.Close()) }()
	f, err := w.Root.OpenFile(path.Join(w.Dir, BlobPath(digest)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
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

func hexDigest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
