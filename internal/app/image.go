package app

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// ImageRequest names an image to look into.
type ImageRequest struct {
	Image    string // a reference, oci:DIR, tar:FILE or the folder of a project
	Platform string // OS/ARCH; "" is all that there are
	Files    bool   // for InspectImage: with the files of each layer
}

// InspectImage returns what an image consists of. All its layers are read.
func (a *App) InspectImage(ctx context.Context, r ImageRequest) (*image.Summary, error) {
	found, err := a.openImages(ctx, r)
	if err != nil {
		return nil, err
	}
	return found.Summarize(ctx, a.report(), r.Files)
}

// ImageSBOM returns the SBOM that is attached to an image.
func (a *App) ImageSBOM(ctx context.Context, r ImageRequest) (*image.Document, error) {
	return a.imageDocument(ctx, r, attest.SPDXType, "SBOM")
}

// ImageProvenance returns the provenance that is attached to an image.
func (a *App) ImageProvenance(ctx context.Context, r ImageRequest) (*image.Document, error) {
	return a.imageDocument(ctx, r, attest.InTotoType, "provenance")
}

func (a *App) imageDocument(ctx context.Context, r ImageRequest, mediaType, word string) (*image.Document, error) {
	found, err := a.openImages(ctx, r)
	if err != nil {
		return nil, err
	}
	document, err := found.Document(ctx, mediaType, word)
	if err != nil {
		return nil, err
	}
	if document.Others > 0 {
		a.report().Warn(fmt.Sprintf("there are %d documents of this kind; %s is shown", document.Others+1, document.Digest))
	}
	return document, nil
}

// DiffImages compares x with y as containers would see them.
func (a *App) DiffImages(ctx context.Context, x, y ImageRequest) (*image.Comparison, error) {
	inX, err := a.openImages(ctx, x)
	if err != nil {
		return nil, err
	}
	inY, err := a.openImages(ctx, y)
	if err != nil {
		return nil, err
	}
	return image.Compare(ctx, a.report(), inX, inY)
}

func (a *App) openImages(ctx context.Context, r ImageRequest) (*image.Images, error) {
	var only *v1.Platform
	if r.Platform != "" {
		p, err := build.ParsePlatform(r.Platform)
		if err != nil {
			return nil, err
		}
		only = &p
	}
	opener := image.Opener{Registry: a.Registry, Project: openProjectImage}
	return opener.Open(ctx, r.Image, only)
}

// openProjectImage opens what the build of the project in dir has left there.
func openProjectImage(ctx context.Context, dir string, client *registry.Client) (*image.Artifact, error) {
	built, _, err := build.OpenLayout(ctx, dir, client.Pull)
	if err != nil {
		return nil, err
	}
	return &image.Artifact{Top: built.Artifact(), Attached: built.Attached}, nil
}
