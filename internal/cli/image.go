package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/contents"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

func newImageCmd(f *Factory) *cobra.Command {
	cmd := newGroupCmd("image", "Look into images, compare them, and check who signed them", groupDayTwo, newImageInspectCmd(f), newImageDiffCmd(f), newImageVerifyCmd(f), newImageKeygenCmd(f))
	cmd.Long = `An image is named by its reference in a registry, by oci:DIR for an OCI layout, by
tar:FILE for what docker save or kn-lite build -o tar:FILE writes, or by the folder
of a function for what kn-lite build has left there. A folder comes before an
image of the same name on Docker Hub.`
	return cmd
}

// lookOptions say which images of an artifact are meant and how to reach it.
type lookOptions struct {
	Platform string
}

// addLookFlags gives cmd the flags that openImages reads.
func (f *Factory) addLookFlags(cmd *cobra.Command, o *lookOptions) {
	cmd.Flags().StringVar(&o.Platform, "platform", "", "look at the image for this `OS/ARCH` only (default: all there are)")
	f.addRegistryFlags(cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64"}, cobra.ShellCompDirectiveNoFileComp))
	// Files and folders are half of what an image can be named by.
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"oci:", "tar:"}, cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
	}
}

// artifact is what somebody has named, with the digest of the whole.
type artifact struct {
	Name   string
	Digest v1.Hash
	Index  bool
	Local  bool       // it is in no registry
	Images []v1.Image // one for each platform

	// Attached are what hangs on the images and on the whole, by the digest of either.
	Attached func(ctx context.Context, digest v1.Hash) ([]attest.Descriptor, error)
	Document func(ctx context.Context, d attest.Descriptor) (*attest.Artifact, error)
}

// openImages finds the images that name means.
func (f *Factory) openImages(ctx context.Context, name string, o *lookOptions) (*artifact, error) {
	var only *v1.Platform
	if o.Platform != "" {
		p, err := build.ParsePlatform(o.Platform)
		if err != nil {
			return nil, err
		}
		only = &p
	}
	found, err := f.openNamed(ctx, name, only)
	if err != nil {
		return nil, err
	}
	if only == nil {
		return found, nil
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

func (f *Factory) openNamed(ctx context.Context, name string, only *v1.Platform) (*artifact, error) {
	switch form, path, _ := strings.Cut(name, ":"); {
	case form == "oci" && path != "":
		top, err := registry.OpenLayout(path)
		if err != nil {
			return nil, err
		}
		attached, err := registry.LayoutAttached(path)
		return fromArtifact(name, top, attached, err)
	case form == "tar" && path != "":
		top, err := registry.OpenTar(path)
		return fromArtifact(name, top, nil, err)
	}
	client, err := f.Registry()
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		kept, _, err := build.OpenKept(ctx, name, client.Pull)
		if err != nil {
			return nil, err
		}
		return fromArtifact(name, kept.Artifact(), kept.Attached, nil)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) && !strings.Contains(name, ":") {
		return nil, &fault.Error{Op: "image.open", Subject: name, Err: err}
	}
	return fromRegistry(ctx, client, name, only)
}

func fromRegistry(ctx context.Context, client *registry.Client, name string, only *v1.Platform) (*artifact, error) {
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
	out := &artifact{
		Name: name, Digest: digest, Index: index,
		Attached: func(ctx context.Context, digest v1.Hash) ([]attest.Descriptor, error) {
			return client.Referrers(ctx, ref.WithDigest(digest.String()))
		},
		Document: func(ctx context.Context, d attest.Descriptor) (*attest.Artifact, error) {
			return client.Fetch(ctx, ref.WithDigest(d.Digest))
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

// fromArtifact takes an image or index apart.
func fromArtifact(name string, top registry.Artifact, attached []attest.Artifact, err error) (*artifact, error) {
	if err != nil {
		return nil, err
	}
	out := &artifact{Name: name, Local: true}
	out.attach(attached)
	if out.Digest, err = top.Digest(); err != nil {
		return nil, err
	}
	switch top := top.(type) {
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

// attach is for what is here already.
func (a *artifact) attach(all []attest.Artifact) {
	a.Attached = func(_ context.Context, digest v1.Hash) (out []attest.Descriptor, err error) {
		for _, one := range all {
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
	a.Document = func(_ context.Context, d attest.Descriptor) (*attest.Artifact, error) {
		for i := range all {
			if own, err := all[i].Descriptor(); err == nil && own.Digest == d.Digest {
				return &all[i], nil
			}
		}
		return nil, fault.New(fault.NotFound, "image.open", a.Name, "there is no %s", d.Digest)
	}
}

// load reads all layers of the images.
func (f *Factory) load(ctx context.Context, a *artifact, known map[v1.Hash][]contents.Entry) ([]*contents.Image, error) {
	task := f.IO.Start(0, "reading %s", a.Name)
	var out []*contents.Image
	for _, image := range a.Images {
		loaded, err := contents.Load(ctx, image, known)
		if err != nil {
			task.Fail()
			if _, ok := errors.AsType[*fault.Error](err); !ok {
				err = &fault.Error{Op: "image.read", Kind: fault.KindOf(err), Subject: a.Name, Err: err}
			}
			return nil, err
		}
		out = append(out, loaded)
	}
	task.Drop()
	return out, nil
}
