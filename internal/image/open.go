// Package image opens images wherever they are, in a registry, an OCI layout, a
// tarball or the folder of a project, and tells what is in them and attached to them.
package image

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image/layout"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// Artifact is an image or an index of images that is on this machine, with what is
// attached to it.
type Artifact struct {
	Top      registry.Artifact
	Attached []attest.Artifact
}

// IsFile reports whether name means an OCI layout or a tarball: oci:DIR, tar:FILE.
func IsFile(name string) bool {
	form, path, _ := strings.Cut(name, ":")
	return path != "" && (form == "oci" || form == "tar")
}

// OpenFile opens what a name of which IsFile is true means.
func OpenFile(name string) (*Artifact, error) {
	form, path, _ := strings.Cut(name, ":")
	if form == "oci" {
		return OpenLayout(path)
	}
	return OpenTar(path)
}

// OpenLayout opens the one image or index of an OCI layout.
func OpenLayout(dir string) (*Artifact, error) {
	const op = "image.layout"
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, op, dir, "there is no such folder")
	}
	top, attached, err := layout.NewReader(dir).Open()
	if _, ok := errors.AsType[*layout.CountError](err); ok {
		return nil, fault.New(fault.Usage, op, dir, "%w", err)
	}
	if err != nil {
		return nil, fault.New(fault.Usage, op, dir, "not an OCI layout: %w", err).
			WithHint("a layout is a folder with index.json, oci-layout and blobs/")
	}
	return &Artifact{top, attached}, nil
}

// OpenTar opens the one image of a tarball as `docker save` and
// kn-lite build write it.
func OpenTar(file string) (*Artifact, error) {
	const op = "image.tar"
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, op, file, "there is no such file")
	}
	image, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		return nil, fault.New(fault.Usage, op, file, "not an image tarball: %w", err).
			WithHint("it must be what `docker save` or `kn-lite build {Outputs} tar:FILE` writes, with one image in it")
	}
	return &Artifact{Top: image}, nil
}

// Opener opens what people name as an image.
type Opener struct {
	// Registry is called for what is in no file.
	Registry func() (*registry.Client, error)
	// Project opens what the build of the project in dir has left there.
	Project func(ctx context.Context, dir string, client *registry.Client) (*Artifact, error)
}

// Images is what a name means: the images, one for each platform, and how to find what
// is attached to them.
type Images struct {
	Name   string
	Digest v1.Hash // of the whole
	Index  bool
	Local  bool // it is in no registry
	Images []v1.Image

	attached   func(ctx context.Context, digest v1.Hash) ([]attest.Descriptor, error)
	document   func(ctx context.Context, d attest.Descriptor) (*attest.Artifact, error)
	signatures func(ctx context.Context) (int, error)
}

// Open finds the images that name means, or the one for the platform only.
func (o *Opener) Open(ctx context.Context, name string, only *v1.Platform) (*Images, error) {
	found, err := o.open(ctx, name, only)
	if err != nil || only == nil {
		return found, err
	}
	for _, image := range found.Images {
		config, err := image.ConfigFile()
		if err != nil {
			return nil, err
		}
		if p := config.Platform(); p != nil && p.Satisfies(*only) {
			found.Images = []v1.Image{image}
			return found, nil
		}
	}
	return nil, fault.New(fault.NotFound, "image.open", name, "it has no image for %s", only)
}

func (o *Opener) open(ctx context.Context, name string, only *v1.Platform) (*Images, error) {
	if IsFile(name) {
		artifact, err := OpenFile(name)
		if err != nil {
			return nil, err
		}
		return artifact.images(name)
	}
	client, err := o.Registry()
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		artifact, err := o.Project(ctx, name, client)
		if err != nil {
			return nil, err
		}
		return artifact.images(name)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) && !strings.Contains(name, ":") {
		return nil, &fault.Error{Op: "image.open", Subject: name, Err: err}
	}
	return fromRegistry(ctx, client, name, only)
}

func fromRegistry(ctx context.Context, client *registry.Client, name string, only *v1.Platform) (*Images, error) {
	// What the tag means is asked once, so that all that follows is about the same.
	digest, err := client.Resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	ref, err := registry.Parse(name)
	if err != nil {
		return nil, err
	}
	pinned := ref.WithDigest(digest.String())
	platforms, index, err := client.Platforms(ctx, pinned)
	if err != nil {
		return nil, err
	}
	out := &Images{
		Name: name, Digest: digest, Index: index,
		attached: func(ctx context.Context, digest v1.Hash) ([]attest.Descriptor, error) {
			return client.Referrers(ctx, ref.WithDigest(digest.String()))
		},
		document: func(ctx context.Context, d attest.Descriptor) (*attest.Artifact, error) {
			return client.Fetch(ctx, ref.WithDigest(d.Digest))
		},
		signatures: func(ctx context.Context) (int, error) {
			found, err := client.Signatures(ctx, pinned)
			return len(found), err
		},
	}
	if only != nil {
		platforms = []v1.Platform{*only}
	}
	for _, p := range platforms {
		image, err := client.Pull(ctx, pinned, p)
		if err != nil {
			return nil, err
		}
		out.Images = append(out.Images, image)
	}
	return out, nil
}

// images takes an image or index apart.
func (a *Artifact) images(name string) (*Images, error) {
	out := &Images{Name: name, Local: true, attached: a.attachedTo, signatures: func(context.Context) (int, error) { return 0, nil }}
	out.document = func(_ context.Context, d attest.Descriptor) (*attest.Artifact, error) {
		for i := range a.Attached {
			if own, err := a.Attached[i].Descriptor(); err == nil && own.Digest == d.Digest {
				return &a.Attached[i], nil
			}
		}
		return nil, fault.New(fault.NotFound, "image.open", name, "there is no %s", d.Digest)
	}
	var err error
	if out.Digest, err = a.Top.Digest(); err != nil {
		return nil, err
	}
	switch top := a.Top.(type) {
	case v1.Image:
		out.Images = []v1.Image{top}
	case v1.ImageIndex:
		out.Index = true
		children, err := partial.Manifests(top)
		if err != nil {
			return nil, err
		}
		for _, child := range children {
			if image, ok := child.(v1.Image); ok {
				out.Images = append(out.Images, image)
			}
		}
	}
	return out, nil
}

func (a *Artifact) attachedTo(_ context.Context, digest v1.Hash) (out []attest.Descriptor, err error) {
	for _, one := range a.Attached {
		if one.Subject.Digest != digest.String() {
			continue
		}
		d, err := one.Descriptor()
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
