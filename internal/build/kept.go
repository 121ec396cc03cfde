package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Kept is where Keep leaves the image of the project in dir: an OCI layout, but
// for the base's layers. They are where the base is; the manifest's annotations
// org.opencontainers.image.base.name and .digest say where.
func Kept(dir string) string { return filepath.Join(dir, stateFolder, stateLayout) }

// Keep leaves the image in the project's folder for OpenKept. tag is the name
// that it is meant for, "" when there is none yet.
func (r *Result) Keep(dir, tag string) (err error) {
	defer describeWrite(&err, Kept(dir))
	state, err := openState(dir, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	if err := ignoreState(state); err != nil {
		return err
	}
	return r.replaceLayout(state, stateLayout, tag, func(built PlatformBuild, blob v1.Hash) bool {
		for _, own := range built.Layers {
			if own.Digest == blob {
				return true
			}
		}
		return false
	})
}

// openLayout opens the layout that Keep has left for the project in dir.
func openLayout(dir string) (*os.Root, error) {
	state, err := openState(dir, false)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	return openFolder(state, stateLayout, filepath.Join(dir, stateFolder))
}

// OpenKept gives what Keep has left for the project in dir, and the name it is
// meant for. The base's layers come through pull. It is a NotFound error when
// nothing was kept.
func OpenKept(ctx context.Context, dir string, pull Puller) (r *Result, tag string, err error) {
	at := Kept(dir)
	var raw []byte
	// It stays open: layers are read later.
	root, err := openLayout(dir)
	if err == nil {
		raw, err = regular.ReadFileIn(root, indexFile)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fault.New(fault.NotFound, "build.open", dir, "nothing has been built here yet").
			WithHint("run `kn-lite build`, or do both at once: kn-lite build --push")
	}
	if err != nil {
		return nil, "", &fault.Error{Op: "build.open", Kind: fault.KindOf(err), Subject: at, Err: regular.Cause(err)}
	}
	k := &kept{ctx: ctx, root: root, pull: pull}
	if r, tag, err = k.open(raw); err != nil {
		return nil, "", &fault.Error{Op: "build.open", Kind: fault.KindOf(err), Subject: at, Err: err, Hint: "build again: kn-lite build"}
	}
	return r, tag, nil
}

// kept reads a layout that Keep has written.
type kept struct {
	ctx  context.Context
	root *os.Root
	pull Puller
	own  bool // look at what is here only: the base's layers are left out
}

func (k *kept) open(raw []byte) (*Result, string, error) {
	var top v1.IndexManifest
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, "", err
	}
	attached, err := k.attached(&top)
	if err != nil {
		return nil, "", err
	}
	if len(top.Manifests) != 1 {
		return nil, "", fmt.Errorf("index.json lists %d images, not one", len(top.Manifests))
	}
	descriptor := top.Manifests[0]
	children := []v1.Descriptor{descriptor}
	if descriptor.MediaType.IsIndex() {
		raw, err := k.blob(descriptor.Digest)
		if err != nil {
			return nil, "", err
		}
		index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err != nil {
			return nil, "", err
		}
		children = index.Manifests
	}
	r := &Result{Attached: attached}
	for _, child := range children {
		built, err := k.image(child)
		if err != nil {
			return nil, "", err
		}
		r.Builds = append(r.Builds, *built)
	}
	if len(r.Builds) == 0 {
		return nil, "", errors.New("the index is empty")
	}
	if err := r.finish(); err != nil {
		return nil, "", err
	}
	if r.Digest != descriptor.Digest {
		return nil, "", fmt.Errorf("the image is %s now, and was built as %s", r.Digest, descriptor.Digest)
	}
	return r, descriptor.Annotations[annotationRefName], nil
}

// attached takes what hangs on the image out of top.
func (k *kept) attached(top *v1.IndexManifest) (out []attest.Artifact, err error) {
	read := func(d attest.Descriptor) ([]byte, error) {
		digest, err := v1.NewHash(d.Digest)
		if err != nil {
			return nil, err
		}
		return k.blob(digest)
	}
	for _, d := range top.Manifests {
		if d.ArtifactType == "" {
			continue
		}
		raw, err := k.blob(d.Digest)
		if err != nil {
			return nil, err
		}
		a, err := attest.ReadArtifact(raw, read)
		if err != nil {
			return nil, err
		}
		out = append(out, *a)
	}
	top.Manifests = slices.DeleteFunc(top.Manifests, func(d v1.Descriptor) bool { return d.ArtifactType != "" })
	return out, nil
}

// blob reads and checks a small blob.
func (k *kept) blob(digest v1.Hash) ([]byte, error) {
	raw, err := regular.ReadFileIn(k.root, blobPath(digest))
	if err != nil {
		return nil, err
	}
	got, _, err := v1.SHA256(bytes.NewReader(raw))
	if err == nil && got != digest {
		err = fmt.Errorf("blob %s is damaged", digest)
	}
	return raw, err
}

func (k *kept) image(descriptor v1.Descriptor) (*PlatformBuild, error) {
	raw, err := k.blob(descriptor.Digest)
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	rawConfig, err := k.blob(manifest.Config.Digest)
	if err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(rawConfig))
	if err != nil {
		return nil, err
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return nil, fmt.Errorf("manifest and config of %s disagree about the layers", descriptor.Digest)
	}
	platform := config.Platform()
	if platform == nil {
		return nil, fmt.Errorf("the config of %s names no platform", descriptor.Digest)
	}
	built := &PlatformBuild{Platform: *platform, Base: manifest.Annotations[layer.AnnotationBaseName]}
	image := &keptImage{raw: raw, rawConfig: rawConfig, manifest: manifest, config: config}
	below, err := k.baseLayers(built, manifest)
	if err != nil {
		return nil, err
	}
	for i, d := range manifest.Layers {
		if l, ok := below[d.Digest]; ok {
			image.layers = append(image.layers, l)
			continue
		}
		if k.own && (i >= len(config.History) || config.History[i].CreatedBy != creator) {
			continue
		}
		l := &keptLayer{descriptor: d, diffID: config.RootFS.DiffIDs[i], root: k.root}
		if info, err := k.root.Stat(blobPath(d.Digest)); err != nil || info.Size() != d.Size {
			return nil, fmt.Errorf("layer %s is missing or damaged", d.Digest)
		}
		image.layers = append(image.layers, l)
		built.Layers = append(built.Layers, LayerInfo{Digest: d.Digest, Size: d.Size, Cached: true})
	}
	built.Image = image
	return built, nil
}

// baseLayers asks the base's registry for the layers that were not kept.
func (k *kept) baseLayers(built *PlatformBuild, manifest *v1.Manifest) (map[v1.Hash]v1.Layer, error) {
	layers := map[v1.Hash]v1.Layer{}
	if built.Base == "" || k.own {
		return layers, nil
	}
	if k.pull == nil {
		return nil, fmt.Errorf("no registry client to read the base %s with", built.Base)
	}
	image, err := k.pull(k.ctx, pinned(built.Base, manifest.Annotations[layer.AnnotationBaseDigest]), built.Platform)
	if err != nil {
		return nil, err
	}
	all, err := image.Layers()
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		layers[digest] = l
	}
	return layers, nil
}

// pinned is ref without tag and digest, at digest.
func pinned(ref, digest string) string {
	repository, _, _ := strings.Cut(ref, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	return repository + "@" + digest
}

// keptImage is a v1.Image whose layers keep their types: one that came from a
// registry can be mounted from there.
type keptImage struct {
	raw, rawConfig []byte
	manifest       *v1.Manifest
	config         *v1.ConfigFile
	layers         []v1.Layer
}

var _ v1.Image = (*keptImage)(nil)

func (i *keptImage) Layers() ([]v1.Layer, error)         { return i.layers, nil }
func (i *keptImage) MediaType() (types.MediaType, error) { return i.manifest.MediaType, nil }
func (i *keptImage) Size() (int64, error)                { return int64(len(i.raw)), nil }
func (i *keptImage) ConfigName() (v1.Hash, error)        { return i.manifest.Config.Digest, nil }
func (i *keptImage) ConfigFile() (*v1.ConfigFile, error) { return i.config, nil }
func (i *keptImage) RawConfigFile() ([]byte, error)      { return i.rawConfig, nil }
func (i *keptImage) Digest() (v1.Hash, error)            { return partial.Digest(i) }
func (i *keptImage) Manifest() (*v1.Manifest, error)     { return i.manifest, nil }
func (i *keptImage) RawManifest() ([]byte, error)        { return i.raw, nil }
func (i *keptImage) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	for n, id := range i.config.RootFS.DiffIDs {
		if id == h {
			return i.layers[n], nil
		}
	}
	return nil, fmt.Errorf("there is no layer with diff ID %s", h)
}

func (i *keptImage) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if h == i.manifest.Config.Digest {
		return partial.ConfigLayer(i)
	}
	for n, d := range i.manifest.Layers {
		if d.Digest == h {
			return i.layers[n], nil
		}
	}
	return nil, fmt.Errorf("there is no layer %s", h)
}

// keptLayer is a blob of the layout.
type keptLayer struct {
	descriptor v1.Descriptor
	diffID     v1.Hash
	root       *os.Root
}

var _ v1.Layer = (*keptLayer)(nil)

func (l *keptLayer) Digest() (v1.Hash, error)            { return l.descriptor.Digest, nil }
func (l *keptLayer) DiffID() (v1.Hash, error)            { return l.diffID, nil }
func (l *keptLayer) Size() (int64, error)                { return l.descriptor.Size, nil }
func (l *keptLayer) MediaType() (types.MediaType, error) { return l.descriptor.MediaType, nil }
func (l *keptLayer) Compressed() (io.ReadCloser, error) {
	return regular.OpenIn(l.root, blobPath(l.descriptor.Digest))
}

func (l *keptLayer) Uncompressed() (io.ReadCloser, error) {
	f, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	return layer.Gunzip(f)
}
