// Package dockerfile builds a project's Dockerfile in a sandbox of this machine.
package dockerfile

import (
	"context"
	"fmt"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/builder"
)

// Builder is the dockerfile builder.
type Builder struct{ host *builder.Host }

var _ builder.Builder = (*Builder)(nil)

// New returns the dockerfile builder.
func New(host *builder.Host) *Builder { return &Builder{host} }

// Name implements builder.Builder.
func (*Builder) Name() string { return builder.Dockerfile }

// Check implements builder.Builder.
func (*Builder) Check(r builder.Request) error {
	if err := r.RefuseBaseImage(); err != nil {
		return err
	}
	return r.RefusePod()
}

// Build implements builder.Builder. The steps of a Dockerfile have keys of their
// own, so there is none for the whole.
func (b *Builder) Build(ctx context.Context, r builder.Request) (*builder.Result, error) {
	started := b.host.Now()
	spec, err := b.host.Spec(r)
	if err != nil {
		return nil, err
	}
	spec.Dockerfile = Options(r)
	if repository := r.Dockerfile.Repository; repository != "" {
		client, err := b.host.Registry()
		if err != nil {
			return nil, err
		}
		spec.Steps = NewSteps(client, repository, r.Signing)
	}
	made, err := build.Dockerfile(ctx, spec)
	if err != nil {
		return nil, err
	}
	r.Reporter().Step(fmt.Sprintf("built %s (%s)", made.Digest, b.host.Since(started)))
	return b.host.NewResult(b.Name(), spec, made), nil
}

// Options translates those of r for the engine.
func Options(r builder.Request) *dockerfile.Options {
	d := r.Dockerfile
	return &dockerfile.Options{File: d.File, Target: d.Target, Args: d.Args, Secrets: d.Secrets, NoCache: r.NoCache, Offline: d.Offline}
}
