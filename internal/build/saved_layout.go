package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image/layout"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// LayoutDir returns where SaveLayout leaves the image of the project in dir: an OCI layout, but
// for the base's layers. They are where the base is; the manifest's annotations
// org.opencontainers.image.base.name and .digest say where.
func LayoutDir(dir string) string { return filepath.Join(dir, stateFolder, stateLayout) }

// SaveLayout leaves the image in the project's folder for OpenLayout. tag is the name
// that it is meant for, "" when there is none yet.
func (r *Result) SaveLayout(dir, tag string) (err error) {
	defer describeWrite(&err, LayoutDir(dir))
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

// openLayoutRoot opens the layout that SaveLayout has left for the project in dir.
func openLayoutRoot(dir string) (*os.Root, error) {
	state, err := openState(dir, false)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	return openFolder(state, stateLayout, filepath.Join(dir, stateFolder))
}

// OpenLayout gives what SaveLayout has left for the project in dir, and the name it is
// meant for. The base's layers come through pull. It is a NotFound error when
// there is none.
func OpenLayout(ctx context.Context, dir string, pull Puller) (r *Result, tag string, err error) {
	at := LayoutDir(dir)
	var raw []byte
	// It stays open: layers are read later.
	root, err := openLayoutRoot(dir)
	if err == nil {
		raw, err = regular.ReadFileIn(root, layout.IndexFile)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fault.New(fault.NotFound, "build.open", dir, "nothing has been built here yet").
			WithHint("run `kn-lite build`, or do both at once: kn-lite build {Push}")
	}
	if err != nil {
		return nil, "", &fault.Error{Op: "build.open", Kind: fault.KindOf(err), Subject: at, Err: regular.Cause(err)}
	}
	k := &layoutReader{ctx: ctx, layout: layout.NewReaderIn(root), pull: pull}
	if r, tag, err = k.open(raw); err != nil {
		return nil, "", &fault.Error{Op: "build.open", Kind: fault.KindOf(err), Subject: at, Err: err, Hint: "build again: kn-lite build"}
	}
	return r, tag, nil
}

// layoutReader reads a layout that SaveLayout has written.
type layoutReader struct {
	ctx    context.Context
	layout *layout.Reader
	pull   Puller
	own    bool // look at what is here only: the base's layers are left out
}

func (k *layoutReader) open(raw []byte) (*Result, string, error) {
	content, err := k.layout.Parse(raw)
	if err != nil {
		return nil, "", err
	}
	if len(content.Images) != 1 {
		return nil, "", fmt.Errorf("index.json lists %d images, not one", len(content.Images))
	}
	descriptor := content.Images[0]
	children := []v1.Descriptor{descriptor}
	if descriptor.MediaType.IsIndex() {
		index, err := k.layout.Index(descriptor)
		if err != nil {
			return nil, "", err
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			return nil, "", err
		}
		children = manifest.Manifests
	}
	r := &Result{Attached: content.Attached}
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
	return r, descriptor.Annotations[layout.AnnotationRefName], nil
}

func (k *layoutReader) image(descriptor v1.Descriptor) (*PlatformBuild, error) {
	image, err := k.layout.Describe(descriptor)
	if err != nil {
		return nil, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
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
	below, err := k.baseLayers(built, manifest)
	if err != nil {
		return nil, err
	}
	for i, d := range manifest.Layers {
		if l, ok := below[d.Digest]; ok {
			image.Append(l)
			continue
		}
		if k.own && (i >= len(config.History) || config.History[i].CreatedBy != creator) {
			continue
		}
		if !k.layout.HasBlob(d) {
			return nil, fmt.Errorf("layer %s is missing or damaged", d.Digest)
		}
		l, err := k.layout.LayerWithDiffID(d, config.RootFS.DiffIDs[i])
		if err != nil {
			return nil, err
		}
		image.Append(l)
		built.Layers = append(built.Layers, LayerInfo{Digest: d.Digest, Size: d.Size, Cached: true})
	}
	built.Image = image
	return built, nil
}

// baseLayers asks the base's registry for the layers that were not kept.
func (k *layoutReader) baseLayers(built *PlatformBuild, manifest *v1.Manifest) (map[v1.Hash]v1.Layer, error) {
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
