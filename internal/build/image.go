package build

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/staticbase"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// port is where every function listens unless Knative says otherwise in $PORT.
const port = "8080/tcp"

// creator stands in the history of the layers that are ours.
const creator = "kn-lite"

// defaultPath is what container runtimes assume when an image says nothing.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// base is what an image starts from.
type base struct {
	image  v1.Image // nil for the built-in base
	ref    string
	digest string
	config *v1.ConfigFile
}

// layers is the base of one platform and what the language puts on it; nothing has been run yet.
func (b *builder) layers(ctx context.Context, platform v1.Platform) (*base, []lang.Layer, error) {
	below, err := b.base(platform)
	if err != nil {
		return nil, nil, err
	}
	target := lang.Target{Platform: platform, BaseRef: below.ref, BaseDigest: below.digest}
	if below.config != nil {
		target.BaseConfig = &below.config.Config
	}
	layers, err := b.language.Layers(ctx, b.project, b.plan, target)
	return below, layers, err
}

// platform builds the image of one platform.
func (b *builder) platform(ctx context.Context, platform v1.Platform) (*PlatformBuild, error) {
	base, layers, err := b.layers(ctx, platform)
	if err != nil {
		return nil, err
	}
	if base.image == nil {
		layers = slices.Insert(layers, 0, lang.Layer{
			Name: "base",
			Files: func(context.Context) ([]layer.File, func() error, error) {
				return staticbase.Files(), nil, nil
			},
		})
	}
	built := &PlatformBuild{Platform: platform, Base: base.ref}
	var adds []mutate.Addendum
	for _, l := range layers {
		made, cached, err := b.layer(ctx, l, platform)
		if err != nil {
			return nil, err
		}
		info := LayerInfo{Name: l.Name, Cached: cached}
		info.Digest, _ = made.Digest()
		info.Size, _ = made.Size()
		built.Layers = append(built.Layers, info)
		adds = append(adds, mutate.Addendum{
			Layer:     made,
			MediaType: types.OCILayer,
			History:   v1.History{Created: v1.Time{Time: b.spec.Epoch.UTC()}, CreatedBy: creator, Comment: l.Name},
		})
	}
	if l, ok := b.language.(lang.Lister); ok {
		if built.Packages, err = l.Packages(ctx, b.project, b.plan, platform); err != nil {
			return nil, err
		}
	}
	built.Image, err = b.assemble(base, platform, adds)
	return built, err
}

// layer makes l or finds it in the store.
func (b *builder) layer(ctx context.Context, l lang.Layer, platform v1.Platform) (made *layer.Layer, cached bool, err error) {
	var key string
	if l.Key != "" {
		if key, err = b.layerKey(ctx, l, platform); err != nil {
			return nil, false, err
		}
		if found, ok := b.store.Find(key, b.spec.Epoch); ok && !b.spec.Fresh {
			return found, true, nil
		}
	}
	stage := b.stage(l.Name, platform)
	files, cleanup, err := l.Files(ctx)
	if cleanup != nil {
		defer func() {
			if cleanupErr := cleanup(); err == nil {
				err = cleanupErr
			}
		}()
	}
	if err == nil {
		files = verified(files, platform)
		if b.baseRef() == "" {
			files = rejectDynamicallyLinked(files)
		}
		made, cached, err = b.store.Write(ctx, files, b.spec.Epoch)
	}
	if err != nil {
		stage.Fail()
		return nil, false, err
	}
	stage.Done(fmt.Sprintf("%s layer for %s", l.Name, platform))
	if key != "" {
		err = b.store.Remember(key, b.spec.Epoch, made)
	}
	return made, cached, err
}

// layerKey identifies a layer on this machine: what the language says about it,
// and all variables, versions and settings that its tools see.
func (b *builder) layerKey(ctx context.Context, l lang.Layer, platform v1.Platform) (string, error) {
	parts := []string{b.language.Name(), l.Name, platform.String(), l.Key}
	in, err := b.languageInputs(ctx)
	if err != nil {
		return "", err
	}
	parts = append(parts, b.spec.BuildEnv...)
	for _, f := range slices.Concat(b.variables.Facts(b.project.Environ), in.Facts) {
		parts = append(parts, f.Name+"="+f.Value)
	}
	return hexDigest([]byte(strings.Join(parts, "\x00"))), nil
}

// stage announces work on a layer. The built-in base is made in no time and is
// nothing to talk about.
func (b *builder) stage(layer string, platform v1.Platform) progress.Task {
	if layer == "base" {
		return progress.Nop().Start(layer, 0)
	}
	return b.spec.Progress.Start(fmt.Sprintf("%s layer for %s", layer, platform), 0)
}

// baseRef is the base image, from the most particular wish to the default; ""
// is the built-in one.
func (b *builder) baseRef() string {
	ref := cmp.Or(b.spec.Base, b.spec.Bases[b.language.Name()])
	if ref == "" && !b.plan.Base.BuiltIn {
		ref = b.plan.Base.Ref
	}
	return ref
}

// base reads what is known about the base image.
func (b *builder) base(platform v1.Platform) (*base, error) {
	ref := b.baseRef()
	if ref == "" {
		return &base{}, nil
	}
	if b.spec.Pull == nil {
		return nil, fault.New(fault.Failure, "build.base", ref, "no registry client to pull it with")
	}
	exact := ref
	if b.resolved != (v1.Hash{}) {
		// The key was made with this; the tag may have moved since.
		exact = pinned(ref, b.resolved.String())
	}
	image, err := b.pull(exact, platform)
	if err != nil {
		return nil, err
	}
	digest, err := image.Digest()
	if err != nil {
		return nil, &fault.Error{Op: "build.base", Kind: fault.KindOf(err), Subject: ref, Err: err}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, &fault.Error{Op: "build.base", Kind: fault.KindOf(err), Subject: ref, Err: err}
	}
	if config.OS != platform.OS || config.Architecture != platform.Architecture {
		return nil, fault.New(fault.Usage, "build.base", ref, "the base image is for %s/%s, not for %s", config.OS, config.Architecture, platform).
			WithHint("choose a base image that has %s with {BaseImage}, or build for another {Platforms}", platform)
	}
	return &base{image: image, ref: ref, digest: digest.String(), config: config}, nil
}

// assemble puts the layers on the base. The result is an OCI image whatever the
// base was: one manifest may not mix Docker's media types with OCI's.
func (b *builder) assemble(base *base, platform v1.Platform, adds []mutate.Addendum) (v1.Image, error) {
	config := v1.Config{}
	annotations := map[string]string{layer.AnnotationCreated: b.created()}
	if base.image != nil {
		below, err := baseLayers(base)
		if err != nil {
			return nil, err
		}
		adds = append(below, adds...)
		config = *base.config.Config.DeepCopy()
		annotations[layer.AnnotationBaseName], annotations[layer.AnnotationBaseDigest] = base.ref, base.digest
	}
	return layer.Assemble(adds, platform, annotations, func(file *v1.ConfigFile) {
		file.Created = v1.Time{Time: b.spec.Epoch.UTC()}
		file.Author = "kn-lite"
		file.Config = b.config(config)
	})
}

func (b *builder) created() string { return b.spec.Epoch.UTC().Format("2006-01-02T15:04:05Z") }

// config overlays the plan on what the base brings.
func (b *builder) config(config v1.Config) v1.Config {
	config.Entrypoint, config.Cmd = b.plan.Entrypoint, nil
	config.WorkingDir = b.plan.WorkingDir
	// A number, since Kubernetes cannot know whether a name is root; and not root's group.
	config.User = staticbase.UID + ":" + staticbase.UID
	config.ExposedPorts = map[string]struct{}{port: {}}
	config.Healthcheck, config.OnBuild = nil, nil
	config.Env = overlayEnv(config.Env, b.plan.Env)
	search := cmp.Or(lang.Lookup(config.Env, "PATH"), defaultPath)
	search = strings.Join(append(slices.Clone(b.plan.Path), search), ":")
	config.Env = overlayEnv(config.Env, []string{"PATH=" + search})
	labels := map[string]string{}
	maps.Copy(labels, config.Labels)
	labels[layer.AnnotationCreated] = b.created()
	maps.Copy(labels, b.spec.Labels)
	config.Labels = labels
	return config
}

// overlayEnv replaces variables in place and appends new ones, so that the order
// does not depend on a map.
func overlayEnv(env, over []string) []string {
	out := slices.Clone(env)
	for _, kv := range over {
		name, _, _ := strings.Cut(kv, "=")
		at := slices.IndexFunc(out, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		if at >= 0 {
			out[at] = kv
		} else {
			out = append(out, kv)
		}
	}
	return out
}

// baseLayers are the base's layers under OCI media types, with its history.
func baseLayers(base *base) ([]mutate.Addendum, error) {
	adds, err := layer.OfBase(base.image)
	if err != nil {
		return nil, &fault.Error{Op: "build.base", Kind: fault.KindOf(err), Subject: base.ref, Err: err}
	}
	for i := range adds {
		adds[i].History = v1.History{Created: base.config.Created, CreatedBy: base.ref, Comment: "base"}
	}
	return adds, nil
}

// index is the images of several platforms under one digest.
func index(builds []PlatformBuild) (v1.ImageIndex, error) {
	var adds []mutate.IndexAddendum
	for _, built := range builds {
		platform := built.Platform
		adds = append(adds, mutate.IndexAddendum{Add: built.Image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), adds...), nil
}
