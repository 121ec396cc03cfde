package app

import (
	"cmp"
	"context"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// PushRequest says which image goes where.
type PushRequest struct {
	Source    string // a project's folder with what Build has left there, oci:LAYOUT or tar:FILE; "" is the working folder
	Image     string // REGISTRY/NAME[:TAG]; "" is what Build has named it, else as ImageTag says
	Namespace string // of the function; "" is func.yaml's or the settings'

	NoSBOM       bool   // leave it out where the source has one
	NoProvenance bool   // likewise
	SignKey      string // file with a private key; "" is the settings'
}

// PushResult is an image in its registry.
type PushResult struct {
	Image string `json:"image"` // REGISTRY/NAME@sha256:…
	Tag   string `json:"tag"`   // REGISTRY/NAME:TAG
}

// Push writes an image that has been built to a registry: its layers first, then the
// manifests by digest, and the tag last. What lies in a project's folder has to have
// been built on this machine.
func (a *App) Push(ctx context.Context, r PushRequest) (*PushResult, error) {
	r.Source = cmp.Or(r.Source, ".")
	source, err := a.openSource(ctx, r.Source)
	if err != nil {
		return nil, err
	}
	tag := source.tag
	if r.Image != "" || tag == "" {
		dir := r.Source
		if source.named {
			dir = "."
		}
		project, err := FindProject(dir)
		if err != nil {
			return nil, err
		}
		if tag, err = a.ImageTag(r.Image, project, r.Namespace); err != nil {
			return nil, err
		}
	}
	keys, err := a.openSigning(ctx, r.SignKey)
	if err != nil {
		return nil, err
	}
	if err := a.checkOrigin(&r, source, keys.key != nil); err != nil {
		return nil, err
	}
	documents := r.wanted(source.attached)
	ref, err := a.pushArtifact(ctx, source.artifact, tag, registry.Attached{
		Sign:      keys.Signer(""),
		Documents: func(context.Context) ([]attest.Artifact, error) { return documents, nil },
	})
	if err != nil {
		return nil, err
	}
	return &PushResult{Image: ref, Tag: tag}, nil
}

// wanted leaves out of the source's documents those that r does not want.
func (r *PushRequest) wanted(all []attest.Artifact) (out []attest.Artifact) {
	for _, d := range all {
		if d.Type == attest.SPDXType && r.NoSBOM || d.Type == attest.InTotoType && r.NoProvenance {
			continue
		}
		out = append(out, d)
	}
	return out
}

// pushSource is what is pushed.
type pushSource struct {
	artifact registry.Artifact
	attached []attest.Artifact
	tag      string // that it is meant for; "" when it does not know one
	named    bool   // as a layout or a file, and not as a project's folder
}

func (a *App) openSource(ctx context.Context, name string) (*pushSource, error) {
	if image.IsFile(name) {
		opened, err := image.OpenFile(name)
		if err != nil {
			return nil, err
		}
		return &pushSource{artifact: opened.Top, attached: opened.Attached, named: true}, nil
	}
	client, err := a.Registry()
	if err != nil {
		return nil, err
	}
	saved, tag, err := build.OpenLayout(ctx, name, client.Pull)
	if err != nil {
		return nil, err
	}
	return &pushSource{artifact: saved.Artifact(), attached: saved.Attached, tag: tag}, nil
}

// checkOrigin rejects what came with a clone, lest it be pushed, and signed: whoever
// says "what was built in this folder" means what this machine has built. A layout or
// a file that is named goes as it is.
func (a *App) checkOrigin(r *PushRequest, source *pushSource, signed bool) error {
	digest, err := source.artifact.Digest()
	if err != nil {
		return err
	}
	cache := settings.CacheDir(a.Env)
	if source.named {
		if signed && !build.ImageBuiltHere(cache, digest) {
			a.report().Note("signing " + digest.String() + " as it is: this machine has not built it")
		}
		return nil
	}
	if build.LayoutSavedHere(cache, r.Source) {
		return nil
	}
	return fault.New(fault.Conflict, "push.origin", r.Source, "the image that lies here, %s, was not built on this machine, or is no longer what was built", digest)
}
