// Package layout reads and writes OCI image layouts, folders as
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md describes.
// What is read is checked against its digest; what is written, too.
package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// IndexFile is the file of a layout that says what is in it.
const IndexFile = "index.json"

// AnnotationRefName names an image inside of a layout.
const AnnotationRefName = "org.opencontainers.image.ref.name"

// BlobPath returns where a layout has a blob, with slashes.
func BlobPath(digest v1.Hash) string { return path.Join("blobs", digest.Algorithm, digest.Hex) }

// BlobFile returns where the layout in dir has a blob.
func BlobFile(dir string, digest v1.Hash) string {
	return filepath.Join(dir, filepath.FromSlash(BlobPath(digest)))
}

// Reader reads a layout.
type Reader struct {
	open func(name string) (*os.File, error)
	read func(name string) ([]byte, error)
}

// NewReader returns a Reader of the layout in dir, which somebody has named: links in
// it may lead out of it, as they do where a build tool puts layouts together.
func NewReader(dir string) *Reader {
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	return &Reader{
		open: func(name string) (*os.File, error) { return regular.Open(at(name)) },
		read: func(name string) ([]byte, error) { return regular.ReadFile(at(name)) },
	}
}

// NewReaderIn returns a Reader of the layout that root is, out of which no link leads.
// root has to stay open as long as layers are read.
func NewReaderIn(root *os.Root) *Reader {
	return &Reader{
		open: func(name string) (*os.File, error) { return regular.OpenIn(root, name) },
		read: func(name string) ([]byte, error) { return regular.ReadFileIn(root, name) },
	}
}

// Content is what index.json lists.
type Content struct {
	Images   []v1.Descriptor   // images and indexes
	Attached []attest.Artifact // what refers to them: SBOM, provenance
}

// Content returns what the layout holds.
func (r *Reader) Content() (*Content, error) {
	raw, err := r.read(IndexFile)
	if err != nil {
		return nil, err
	}
	return r.Parse(raw)
}

// Parse returns what a layout whose index.json is raw holds.
func (r *Reader) Parse(raw []byte) (*Content, error) {
	var top v1.IndexManifest
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, err
	}
	out := &Content{}
	for _, d := range top.Manifests {
		artifact, err := r.artifact(d)
		switch {
		case err != nil:
			return nil, err
		case artifact != nil:
			out.Attached = append(out.Attached, *artifact)
		default:
			out.Images = append(out.Images, d)
		}
	}
	return out, nil
}

// artifact returns what d describes if that refers to something else, and nil if it
// does not. Its type says nothing: go-containerregistry gives one to images too.
func (r *Reader) artifact(d v1.Descriptor) (*attest.Artifact, error) {
	if !d.MediaType.IsImage() {
		return nil, nil
	}
	raw, err := r.Blob(d.Digest)
	if err != nil {
		return nil, err
	}
	var m attest.Manifest
	if json.Unmarshal(raw, &m) != nil || m.Subject == nil {
		return nil, nil //nolint:nilerr // an image with a broken manifest is reported by whoever opens it
	}
	return attest.ReadArtifact(raw, func(blob attest.Descriptor) ([]byte, error) {
		digest, err := v1.NewHash(blob.Digest)
		if err != nil {
			return nil, err
		}
		return r.Blob(digest)
	})
}

// Blob reads and checks a small blob.
func (r *Reader) Blob(digest v1.Hash) ([]byte, error) {
	raw, err := r.read(BlobPath(digest))
	if err != nil {
		return nil, err
	}
	got, _, err := v1.SHA256(bytes.NewReader(raw))
	if err == nil && got != digest {
		err = fmt.Errorf("blob %s is damaged", digest)
	}
	return raw, err
}

// HasBlob reports whether the layout has a blob of that digest and size. The content
// is not read.
func (r *Reader) HasBlob(d v1.Descriptor) bool {
	f, err := r.open(BlobPath(d.Digest))
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.Size() == d.Size
}

// Layer returns the layer that d describes. It is read when somebody asks for its
// content.
func (r *Reader) Layer(d v1.Descriptor) (v1.Layer, error) {
	return partial.CompressedToLayer(&blob{reader: r, descriptor: d})
}

// LayerWithDiffID is Layer for who knows the digest of the uncompressed content.
func (r *Reader) LayerWithDiffID(d v1.Descriptor, diffID v1.Hash) (v1.Layer, error) {
	return partial.CompressedToLayer(&blobWithDiffID{blob{reader: r, descriptor: d}, diffID})
}

// blob is a layer in a layout.
type blob struct {
	reader     *Reader
	descriptor v1.Descriptor
}

func (b *blob) Digest() (v1.Hash, error)            { return b.descriptor.Digest, nil }
func (b *blob) Size() (int64, error)                { return b.descriptor.Size, nil }
func (b *blob) MediaType() (types.MediaType, error) { return b.descriptor.MediaType, nil }
func (b *blob) Descriptor() (*v1.Descriptor, error) { return &b.descriptor, nil }
func (b *blob) Compressed() (io.ReadCloser, error) {
	return b.reader.open(BlobPath(b.descriptor.Digest))
}
func (b *blobWithDiffID) DiffID() (v1.Hash, error) { return b.diffID, nil }

type blobWithDiffID struct {
	blob
	diffID v1.Hash
}

// Open returns the one image or index of the layout, and what is attached to it.
func (r *Reader) Open() (Artifact, []attest.Artifact, error) {
	content, err := r.Content()
	if err != nil {
		return nil, nil, err
	}
	if len(content.Images) != 1 {
		return nil, nil, &CountError{len(content.Images)}
	}
	var artifact Artifact
	switch only := content.Images[0]; {
	case only.MediaType.IsIndex():
		artifact, err = r.Index(only)
	case only.MediaType.IsImage():
		artifact, err = r.Image(only)
	default:
		err = fmt.Errorf("neither an image nor an index: %q", only.MediaType)
	}
	return artifact, content.Attached, err
}

// CountError says that a layout has not one image.
type CountError struct{ Images int }

func (e *CountError) Error() string {
	return fmt.Sprintf("the layout has %d images, want one", e.Images)
}

// Artifact is an image or an index.
type Artifact interface {
	MediaType() (types.MediaType, error)
	Digest() (v1.Hash, error)
	RawManifest() ([]byte, error)
}

// Index is an index of images in a layout.
type Index struct {
	reader   *Reader
	digest   v1.Hash
	raw      []byte
	manifest *v1.IndexManifest
}

var _ v1.ImageIndex = (*Index)(nil)

// Index returns the index that d describes.
func (r *Reader) Index(d v1.Descriptor) (*Index, error) {
	raw, err := r.Blob(d.Digest)
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if manifest.MediaType == "" {
		manifest.MediaType = d.MediaType
	}
	return &Index{reader: r, digest: d.Digest, raw: raw, manifest: manifest}, nil
}

// MediaType implements v1.ImageIndex.
func (i *Index) MediaType() (types.MediaType, error) { return i.manifest.MediaType, nil }

// Digest implements v1.ImageIndex.
func (i *Index) Digest() (v1.Hash, error) { return i.digest, nil }

// Size implements v1.ImageIndex.
func (i *Index) Size() (int64, error) { return int64(len(i.raw)), nil }

// IndexManifest implements v1.ImageIndex.
func (i *Index) IndexManifest() (*v1.IndexManifest, error) { return i.manifest, nil }

// RawManifest implements v1.ImageIndex.
func (i *Index) RawManifest() ([]byte, error) { return i.raw, nil }

// Image implements v1.ImageIndex.
func (i *Index) Image(h v1.Hash) (v1.Image, error) {
	d, err := i.find(h)
	if err != nil {
		return nil, err
	}
	return i.reader.Image(d)
}

// ImageIndex implements v1.ImageIndex.
func (i *Index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	d, err := i.find(h)
	if err != nil {
		return nil, err
	}
	return i.reader.Index(d)
}

// Layer returns what the index lists and is neither an image nor an index.
func (i *Index) Layer(h v1.Hash) (v1.Layer, error) {
	d, err := i.find(h)
	if err != nil {
		return nil, err
	}
	return i.reader.Layer(d)
}

func (i *Index) find(h v1.Hash) (v1.Descriptor, error) {
	at := slices.IndexFunc(i.manifest.Manifests, func(d v1.Descriptor) bool { return d.Digest == h })
	if at < 0 {
		return v1.Descriptor{}, errors.New("the index lists no " + h.String())
	}
	return i.manifest.Manifests[at], nil
}
