package build

import (
	"context"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

// Explanation is what Build would do, and why.
type Explanation struct {
	Language   string
	Style      string // how the project is started, in words
	Entrypoint []string
	WorkingDir string
	Env        []string
	Base       string  // reference; "" is the built-in base
	BaseDigest v1.Hash // what it means now; empty for the built-in one
	Platforms  []PlannedPlatform

	Key    *key.Key // nil when there is none
	NoKey  string   // why there is none
	Digest v1.Hash  // of the image that an earlier build with this key made here; empty when it has to be built

	Earlier bool         // something is known about the last build of this folder
	Changes []key.Change // since then; also when an even earlier build had this key
}

// PlannedPlatform is what will be made for one platform.
type PlannedPlatform struct {
	Platform v1.Platform
	Layers   []PlannedLayer // the base's own are not among them
}

// PlannedLayer is a layer that Build would make or find.
type PlannedLayer struct {
	Name  string
	From  string // what decides its content, in words
	Known bool   // it is in the cache, and nothing has to run for it
}

// Explain says what Build would do, without doing it. It asks the base's
// registry for manifest and config, as Build does.
func (p *Prepared) Explain(ctx context.Context) (*Explanation, error) {
	b := p.builder
	out := &Explanation{
		Language: b.language.Name(), Style: b.plan.Style, Entrypoint: b.plan.Entrypoint,
		WorkingDir: b.plan.WorkingDir, Env: b.plan.Env, Base: b.baseRef(),
	}
	var err error
	if out.Key, out.NoKey, err = p.ComputeKey(ctx); err != nil {
		return nil, err
	}
	if out.Base != "" && b.spec.Resolve != nil {
		if b.resolved, err = b.resolve(ctx, out.Base); err != nil {
			return nil, err
		}
	}
	out.BaseDigest = b.resolved
	b.pull = func(ref string, platform v1.Platform) (v1.Image, error) { return b.spec.Pull(ctx, ref, platform) }
	for _, platform := range p.platforms {
		layers, err := p.planned(ctx, platform)
		if err != nil {
			return nil, b.describe(err)
		}
		out.Platforms = append(out.Platforms, PlannedPlatform{Platform: platform, Layers: layers})
	}
	if out.Key == nil {
		return out, nil
	}
	if record, ok := p.LookupRecord(out.Key); ok {
		out.Digest = record.Top.Digest
	}
	var last key.Key
	if raw, err := sealed.Read(p.historyFile()); err == nil && json.Unmarshal(raw, &last) == nil {
		out.Earlier, out.Changes = true, key.Changes(&last, out.Key)
	}
	return out, nil
}

func (p *Prepared) planned(ctx context.Context, platform v1.Platform) ([]PlannedLayer, error) {
	b := p.builder
	base, layers, err := b.layers(ctx, platform)
	if err != nil {
		return nil, err
	}
	var out []PlannedLayer
	if base.image == nil {
		out = append(out, PlannedLayer{Name: "base", From: "the release of kn-lite", Known: true})
	}
	for _, l := range layers {
		planned := PlannedLayer{Name: l.Name, From: l.From}
		if l.Key != "" {
			key, err := b.layerKey(ctx, l, platform)
			if err != nil {
				return nil, err
			}
			_, planned.Known = b.store.Find(key, b.spec.Epoch)
		}
		out = append(out, planned)
	}
	return out, nil
}
