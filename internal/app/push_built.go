package app

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// recordMade records that this machine has built the image, and not only found it.
func (a *App) recordMade(r builder.Request, b *builder.Result) {
	if b.Pushed || !b.BuiltHere() {
		return
	}
	if err := build.RecordImage(r.CacheDir, b.Digest); err != nil {
		a.report().Debug("the build is not recorded: " + err.Error())
	}
}

// write writes the image and its documents to a folder or a file.
func (a *App) write(ctx context.Context, b *builder.Result, place Output, tag string) error {
	if err := b.Load(ctx); err != nil {
		return err
	}
	if err := b.Attest(ctx, tag); err != nil {
		return err
	}
	task := a.report().Start("writing "+place.String(), 0)
	write := b.WriteLayout
	if place.Format == Tarball {
		write = b.WriteTarball
	}
	if err := write(place.Path, tag); err != nil {
		task.Fail()
		return err
	}
	task.Done("wrote " + place.String())
	return nil
}

// pushBuilt makes tag mean the image and returns the reference by digest. An image
// that is in the repository already is not sent again; one that was built now can be
// found there by its key from then on, with all that goes with it.
func (a *App) pushBuilt(ctx context.Context, b *builder.Result, tag string, keys builder.Signing) (string, error) {
	ref, err := registry.ParseTag(tag)
	if err != nil {
		return "", err
	}
	pinned := ref.WithDigest(b.Digest.String())
	if b.Pushed {
		return pinned, nil
	}
	client, err := a.Registry()
	if err != nil {
		return "", err
	}
	signer := keys.Signer(builder.InputsOf(b.Key))
	if b.Unchanged && !b.Loaded() && b.Complete(ctx, client, tag) {
		err := a.moveTag(ctx, client, b, tag, signer)
		if err == nil {
			return pinned, nil
		}
		if fault.KindOf(err) != fault.NotFound {
			return "", err
		}
	}
	if err := b.Load(ctx); err != nil {
		return "", err
	}
	pushed, err := a.pushArtifact(ctx, b.Artifact(), tag, b.Attachments(tag, signer))
	if err != nil {
		return "", err
	}
	if at := builder.KeyTag(tag, b.Key); at != "" {
		// Without it the image is built again elsewhere, and that is all.
		if err := client.Tag(ctx, b.Artifact(), at); err != nil {
			a.report().Debug("the image cannot be found by its key: " + err.Error())
		}
	}
	return pushed, nil
}

// moveTag makes tag mean an image that is in its repository already; NotFound when it
// is not.
func (a *App) moveTag(ctx context.Context, client *registry.Client, b *builder.Result, tag string, signer registry.Signer) error {
	if signer != nil {
		if err := client.Sign(ctx, b.Digest, tag, signer); err != nil {
			return err
		}
	}
	moved, err := client.Retag(ctx, b.Digest, tag)
	if err != nil {
		return err
	}
	if moved {
		a.report().Step("pushed " + tag + ": the image was there already")
	} else {
		a.report().Step("nothing to push: " + tag + " has this image")
	}
	return nil
}
