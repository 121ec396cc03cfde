package plugin

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/image/layout"
)

const (
	// maxDocument bounds a manifest, an index and a configuration, as registries do.
	maxDocument = 4 << 20
	// maxManifests is how many platforms and layers an image may have.
	maxManifests = 127
)

// checked is a layout under examination. Nothing in it is believed: names that lead
// out of the folder, files that are none, sizes and digests that do not fit.
type checked struct {
	ctx  context.Context
	root *os.Root
	max  int64 // bytes that a layer may unpack to
}

// openLayout reads the image that a plugin has left in root, which stays open as long
// as the image is read. It is the one called digest, for just the platforms that were
// wanted.
func openLayout(ctx context.Context, root *os.Root, digest string, platforms []v1.Platform, max int64) (*build.Result, error) {
	c := &checked{ctx: ctx, root: root, max: max}
	if err := c.regularFiles(); err != nil {
		return nil, err
	}
	raw, err := c.document(layout.IndexFile)
	if err != nil {
		return nil, fmt.Errorf("the output is not an OCI layout: %w", err)
	}
	var top v1.IndexManifest
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	if len(top.Manifests) != 1 {
		return nil, fmt.Errorf("index.json names %d images; it has to be one, for several platforms an index", len(top.Manifests))
	}
	image := top.Manifests[0]
	if image.Digest.String() != digest {
		return nil, fmt.Errorf("it says that it has built %s, and its output is %s", digest, image.Digest)
	}
	found, err := c.platforms(image, platforms)
	if err != nil {
		return nil, err
	}
	return open(layout.NewReaderIn(root), image, found)
}

// open makes an image of a layout that has been checked.
func open(files *layout.Reader, image v1.Descriptor, found []v1.Descriptor) (*build.Result, error) {
	out := &build.Result{Digest: image.Digest}
	if image.MediaType.IsIndex() {
		index, err := files.Index(image)
		if err != nil {
			return nil, err
		}
		out.Index = index
	}
	for _, d := range found {
		img, err := files.Image(d)
		if err != nil {
			return nil, err
		}
		if out.Index == nil {
			out.Image = img
		}
		built, err := builder.PlatformBuild(*d.Platform, img)
		if err != nil {
			return nil, err
		}
		out.Builds = append(out.Builds, built)
	}
	return out, nil
}

// regularFiles refuses all but folders and regular files.
func (c *checked) regularFiles() error {
	return fs.WalkDir(c.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.IsDir() && !e.Type().IsRegular() {
			return fmt.Errorf("its output has in it %s, which is neither a folder nor a regular file", name)
		}
		return c.ctx.Err()
	})
}

func (c *checked) document(name string) ([]byte, error) {
	f, err := c.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(raw) > maxDocument {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxDocument)
	}
	return raw, err
}

// blob returns a small blob, whose size and digest are right.
func (c *checked) blob(d v1.Descriptor) ([]byte, error) {
	if d.Digest.Algorithm != "sha256" {
		return nil, fmt.Errorf("%s: only sha256 digests are known here", d.Digest)
	}
	raw, err := c.document(layout.BlobPath(d.Digest))
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	sum := sha256.Sum256(raw)
	switch got := hex.EncodeToString(sum[:]); {
	case got != d.Digest.Hex:
		return nil, fmt.Errorf("blob %s has the content of sha256:%s", d.Digest, got)
	case int64(len(raw)) != d.Size:
		return nil, fmt.Errorf("blob %s has %d bytes, and is said to have %d", d.Digest, len(raw), d.Size)
	}
	return raw, nil
}

// platforms checks the image and returns its manifests in the order of what was
// wanted, each with its platform.
func (c *checked) platforms(image v1.Descriptor, wanted []v1.Platform) ([]v1.Descriptor, error) {
	manifests := []v1.Descriptor{image}
	raw, err := c.blob(image)
	if err != nil {
		return nil, err
	}
	switch {
	case image.MediaType.IsIndex():
		var index v1.IndexManifest
		if err := json.Unmarshal(raw, &index); err != nil {
			return nil, fmt.Errorf("index %s: %w", image.Digest, err)
		}
		manifests = index.Manifests
	case !image.MediaType.IsImage():
		return nil, fmt.Errorf("index.json names something of the type %q, which is no image", image.MediaType)
	}
	if len(manifests) > maxManifests {
		return nil, fmt.Errorf("the index has %d images", len(manifests))
	}
	var have []v1.Descriptor
	for _, d := range manifests {
		platform, err := c.image(d)
		if err != nil {
			return nil, err
		}
		d.Platform = platform
		have = append(have, d)
	}
	var out []v1.Descriptor
	for _, p := range wanted {
		i := slices.IndexFunc(have, func(d v1.Descriptor) bool { return d.Platform.Satisfies(p) })
		if i < 0 {
			return nil, fmt.Errorf("it was asked for an image for %s, and built one for %s", p, have[0].Platform)
		}
		out = append(out, have[i])
	}
	if len(have) > len(wanted) {
		return nil, fmt.Errorf("it was asked for %d platforms, and built %d", len(wanted), len(have))
	}
	return out, nil
}

// image checks one image with all of its layers.
func (c *checked) image(d v1.Descriptor) (*v1.Platform, error) {
	if !d.MediaType.IsImage() {
		return nil, fmt.Errorf("%s is of the type %q, which is no image", d.Digest, d.MediaType)
	}
	raw, err := c.blob(d)
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	if !manifest.Config.MediaType.IsConfig() {
		return nil, fmt.Errorf("manifest %s: its configuration is of the type %q", d.Digest, manifest.Config.MediaType)
	}
	if raw, err = c.blob(manifest.Config); err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", manifest.Config.Digest, err)
	}
	if n := len(config.RootFS.DiffIDs); n != len(manifest.Layers) || n > maxManifests {
		return nil, fmt.Errorf("manifest %s has %d layers, and its configuration %d", d.Digest, len(manifest.Layers), n)
	}
	for i, l := range manifest.Layers {
		if err := c.layer(l, config.RootFS.DiffIDs[i]); err != nil {
			return nil, err
		}
	}
	if len(config.Config.Entrypoint)+len(config.Config.Cmd) == 0 {
		return nil, fmt.Errorf("configuration %s: neither Entrypoint nor Cmd says what is to be started", manifest.Config.Digest)
	}
	platform := config.Platform()
	if platform.OS == "" || platform.Architecture == "" {
		return nil, fmt.Errorf("configuration %s: os and architecture are missing", manifest.Config.Digest)
	}
	return platform, nil
}

// layer checks a layer as it is stored and as it unpacks.
func (c *checked) layer(d v1.Descriptor, diffID v1.Hash) error {
	if !d.MediaType.IsLayer() || !d.MediaType.IsDistributable() || len(d.URLs) > 0 {
		return fmt.Errorf("layer %s is of the type %q, which is none that a registry keeps", d.Digest, d.MediaType)
	}
	if d.Digest.Algorithm != "sha256" {
		return fmt.Errorf("%s: only sha256 digests are known here", d.Digest)
	}
	f, err := c.root.Open(filepath.FromSlash(layout.BlobPath(d.Digest)))
	if err != nil {
		return fmt.Errorf("layer %s: %w", d.Digest, err)
	}
	defer f.Close()
	sum := sha256.New()
	stored := &counter{ctx: c.ctx, r: io.TeeReader(f, sum)}
	unpacked, release, err := decompress(stored, d.MediaType)
	if err != nil {
		return fmt.Errorf("layer %s: %w", d.Digest, err)
	}
	defer release()
	inner := sha256.New()
	n, err := io.Copy(inner, io.LimitReader(unpacked, c.max+1))
	if err == nil && n > c.max {
		err = fmt.Errorf("it unpacks to more than %d bytes", c.max)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, stored)
	}
	if err != nil {
		return fmt.Errorf("layer %s: %w", d.Digest, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != d.Digest.Hex {
		return fmt.Errorf("blob %s has the content of sha256:%s", d.Digest, got)
	}
	if stored.n != d.Size {
		return fmt.Errorf("blob %s has %d bytes, and is said to have %d", d.Digest, stored.n, d.Size)
	}
	if got := hex.EncodeToString(inner.Sum(nil)); got != diffID.Hex {
		return fmt.Errorf("layer %s unpacks to sha256:%s, and the configuration names %s", d.Digest, got, diffID)
	}
	return nil
}

// decompress returns what is in a layer.
func decompress(r io.Reader, kind types.MediaType) (io.Reader, func(), error) {
	switch kind {
	case types.OCILayer, types.DockerLayer:
		zr, err := gzip.NewReader(r)
		return zr, func() {}, err
	case types.OCILayerZStd:
		zr, err := zstd.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return zr, zr.Close, nil
	case types.OCIUncompressedLayer, types.DockerUncompressedLayer:
		return r, func() {}, nil
	}
	return nil, nil, errors.ErrUnsupported
}

// counter counts what is read, and stops when ctx is done.
type counter struct {
	ctx context.Context
	r   io.Reader
	n   int64
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
