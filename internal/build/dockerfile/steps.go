package dockerfile

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// Steps keeps the layers of steps where other machines find them. Names are 64
// hexadecimal digits, made of all that a step depends on.
type Steps interface {
	// Find gives the layer that was kept under name; nil when there is none.
	Find(ctx context.Context, name string) v1.Layer
	// Keep is called by several goroutines at once.
	Keep(ctx context.Context, name string, l v1.Layer) error
}

// keySpace begins the key of every step. A build that is signed has a space of its
// own: in the other one, a step may stand on a layer from another machine whose
// word was taken for it, and neither its name nor its content shows that.
func (b *builder) keySpace() string {
	if b.Signed {
		return "dockerfile 5 signed"
	}
	return "dockerfile 5"
}

// uploads is how many layers are on their way to other machines at once.
const uploads = 3

// find looks for the layer of a step: here, and where other machines keep theirs.
func (b *builder) find(ctx context.Context, key string) (*layer.Layer, bool) {
	if b.NoCache {
		return nil, false
	}
	if made, ok := b.Store.Find(key, b.Epoch); ok {
		b.keep(ctx, key, made)
		return made, true
	}
	if b.Steps == nil {
		return nil, false
	}
	foreign := b.Steps.Find(ctx, layer.Name(key, b.Epoch))
	if foreign == nil {
		return nil, false
	}
	made, err := b.Store.Adopt(key, b.Epoch, foreign)
	if err != nil && ctx.Err() == nil {
		b.Report.Warn("a step is run again, since its layer cannot be had from another machine: " + err.Error())
	}
	return made, err == nil
}

// keep hands a layer on while the build goes on.
func (b *builder) keep(ctx context.Context, key string, l *layer.Layer) {
	// What one user only has built is no good for others.
	if b.Steps == nil || b.degraded {
		return
	}
	b.keeping.Go(parallel.Guard(func() error { return b.Steps.Keep(ctx, layer.Name(key, b.Epoch), l) }))
}

// kept waits until all layers have been handed on. That some have not been is no
// reason to call the build failed.
func (b *builder) kept(ctx context.Context) {
	if err := b.keeping.Wait(); err != nil && ctx.Err() == nil {
		b.Report.Warn("other machines will not find every step: " + err.Error())
	}
}
