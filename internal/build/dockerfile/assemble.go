package dockerfile

import (
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// assemble puts the layers of the last stage on its base. The result is an OCI
// image whatever the base was: one manifest may not mix Docker's media types
// with OCI's.
func (b *builder) assemble(s *stage) (*Image, error) {
	out := &Image{Used: map[string]string{}}
	steps := slices.Clone(s.history)
	for i, st := range s.steps {
		steps[s.positions[i]].EmptyLayer = st.layer.Empty()
		if !st.layer.Empty() {
			out.Layers = append(out.Layers, Layer{Name: st.text, Layer: st.layer, Cached: st.cached})
		}
	}
	for _, from := range slices.Concat(slices.Collect(maps.Values(b.stages)), slices.Collect(maps.Values(b.images))) {
		if from.base != nil && from.base.digest != "" {
			out.Used[from.base.ref] = from.base.digest
		}
	}
	annotations := map[string]string{layer.AnnotationCreated: b.Epoch.UTC().Format("2006-01-02T15:04:05Z")}
	var adds []mutate.Addendum
	var history []v1.History
	if s.base != nil {
		out.Base, out.BaseDigest = s.base.ref, s.base.digest
		annotations[layer.AnnotationBaseName], annotations[layer.AnnotationBaseDigest] = s.base.ref, s.base.digest
		below, err := layer.OfBase(s.base.image)
		if err != nil {
			return nil, err
		}
		adds, history = below, slices.Clone(s.base.config.History)
		// Some tools leave out the history, and the two have to agree.
		filled := 0
		for _, h := range history {
			if !h.EmptyLayer {
				filled++
			}
		}
		if filled != len(below) {
			history = nil
			for range below {
				history = append(history, v1.History{Created: s.base.config.Created, CreatedBy: s.base.ref, Comment: "base"})
			}
		}
	}
	for _, l := range out.Layers {
		adds = append(adds, mutate.Addendum{Layer: l.Layer, MediaType: types.OCILayer})
	}
	image, err := layer.Assemble(adds, b.Platform, annotations, func(file *v1.ConfigFile) {
		file.Created, file.Author = b.created(), s.author
		file.History = append(history, steps...)
		file.Config = *s.config.DeepCopy()
		if len(b.Labels) > 0 {
			if file.Config.Labels == nil {
				file.Config.Labels = map[string]string{}
			}
			maps.Copy(file.Config.Labels, b.Labels)
		}
	})
	if err != nil {
		return nil, err
	}
	if out.Image, err = withStartInterval(image, s.startInterval); err != nil {
		return nil, err
	}
	return out, nil
}
