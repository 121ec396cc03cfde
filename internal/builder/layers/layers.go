// Package layers builds a project with the toolchain of its language on this
// machine, one layer for each rate of change. Where a build with the same inputs is
// known, here or in the repository, nothing runs.
package layers

import (
	"context"
	"errors"
	"fmt"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/builder"
)

// Builder is the layers builder.
type Builder struct{ host *builder.Host }

var (
	_ builder.Builder   = (*Builder)(nil)
	_ builder.Explainer = (*Builder)(nil)
	_ builder.Verifier  = (*Builder)(nil)
	_ builder.Runner    = (*Builder)(nil)
)

// New returns the layers builder.
func New(host *builder.Host) *Builder { return &Builder{host} }

// Name implements builder.Builder.
func (*Builder) Name() string { return builder.Layers }

// Check implements builder.Builder.
func (*Builder) Check(r builder.Request) error {
	if err := r.RefuseDockerfile(); err != nil {
		return err
	}
	return r.RefusePod()
}

// Build implements builder.Builder.
func (b *Builder) Build(ctx context.Context, r builder.Request) (*builder.Result, error) {
	started := b.host.Now()
	spec, err := b.host.Spec(r)
	if err != nil {
		return nil, err
	}
	prepared, err := build.Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer prepared.Close()
	id, why, err := prepared.ComputeKey(ctx)
	if err != nil {
		return nil, err
	}
	if id == nil {
		r.Reporter().Debug("no key: " + why)
	}
	if id != nil && !r.NoCache {
		if found := b.find(ctx, r, spec, prepared, id); found != nil {
			prepared.NoteWithheld(ctx)
			r.Reporter().Step(fmt.Sprintf("unchanged: %s (%s)", found.Digest, b.host.Since(started)))
			return found, nil
		}
	}
	made, err := prepared.Build(ctx)
	if err != nil {
		return nil, err
	}
	r.Reporter().Step(fmt.Sprintf("built %s (%s)", made.Digest, b.host.Since(started)))
	result := b.host.NewResult(b.Name(), spec, made)
	if id != nil {
		result.Key = b.save(ctx, r, prepared, id, made)
	}
	return result, nil
}

// save records the build under its key, which it returns; "" when it is not recorded.
func (b *Builder) save(ctx context.Context, r builder.Request, prepared *build.Prepared, id *key.Key, made *build.Result) string {
	saved, err := prepared.SaveRecord(ctx, id, made)
	switch {
	case err != nil:
		r.Reporter().Debug("the build is not remembered: " + err.Error())
	case saved:
		return id.String()
	default:
		r.Reporter().Warn("the sources changed while they were built; build again to be sure of what is in the image")
	}
	return ""
}

// find looks for an earlier build with the key id. What stands in the repository
// under the key's tag was put there by whoever may push; where signatures count,
// one has to say that it was built from these inputs.
func (b *Builder) find(ctx context.Context, r builder.Request, spec build.Spec, prepared *build.Prepared, id *key.Key) *builder.Result {
	unchanged := func(made *build.Result, record *build.Record) *builder.Result {
		result := b.host.NewResult(b.Name(), spec, made)
		result.Unchanged, result.Key, result.Source = true, id.String(), &earlier{spec, record}
		return result
	}
	if record, ok := prepared.LookupRecord(id); ok {
		return unchanged(record.Result(), record)
	}
	if r.Tag == "" {
		return nil
	}
	client, err := b.host.Registry()
	if err != nil {
		return nil
	}
	digest, ok := client.Find(ctx, builder.KeyTag(r.Tag, id.String()))
	if !ok {
		return nil
	}
	if r.Signing != nil {
		if err := r.Signing.Check(ctx, client, r.Tag, digest, builder.InputsOf(id.String())); err != nil {
			r.Reporter().Note(fmt.Sprintf("built here: the image that %s has for these inputs is not vouched for: %s", r.Tag, err))
			return nil
		}
	}
	return unchanged(prepared.ResultFromDigest(digest), nil)
}

// earlier provides the image of an earlier build.
type earlier struct {
	spec   build.Spec
	record *build.Record // nil where another machine has built it
}

// Here implements builder.Source.
func (e *earlier) Here() bool { return e.record != nil }

// Open implements builder.Source.
func (e *earlier) Open(ctx context.Context) (*build.Result, error) {
	if e.record == nil {
		return nil, errors.ErrUnsupported
	}
	return e.record.Open(ctx)
}

// Rebuild implements builder.Source.
func (e *earlier) Rebuild(ctx context.Context) (*build.Result, error) {
	return build.Build(ctx, e.spec)
}

// Explain implements builder.Explainer.
func (b *Builder) Explain(ctx context.Context, r builder.Request) (*build.Explanation, error) {
	spec, err := b.host.Spec(r)
	if err != nil {
		return nil, err
	}
	prepared, err := build.Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer prepared.Close()
	return prepared.Explain(ctx)
}

// Verify implements builder.Verifier.
func (b *Builder) Verify(ctx context.Context, r builder.Request) (*builder.Result, error) {
	started := b.host.Now()
	spec, err := b.host.Spec(r)
	if err != nil {
		return nil, err
	}
	made, release, err := build.Verify(ctx, spec)
	if err != nil {
		return nil, err
	}
	r.Reporter().Step(fmt.Sprintf("verified: two builds gave %s (%s)", made.Digest, b.host.Since(started)))
	result := b.host.NewResult(b.Name(), spec, made)
	result.Release = release
	return result, nil
}

// RunSpec implements builder.Runner.
func (b *Builder) RunSpec(r builder.Request) (build.Spec, error) { return b.host.Spec(r) }
