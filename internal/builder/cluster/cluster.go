// Package cluster builds a Dockerfile in a pod of the cluster, for machines that have
// no sandbox to offer. This is the side of the client; internal/clusterbuild is what
// the two sides say to each other, and what the pod does.
package cluster

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/builder"
	dockerfilebuilder "github.com/kn-lite/kn-lite/internal/builder/dockerfile"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/loopback"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// Builder is the cluster builder.
type Builder struct{ host *builder.Host }

var (
	_ builder.Builder = (*Builder)(nil)
	_ builder.Pusher  = (*Builder)(nil)
)

// New returns the cluster builder.
func New(host *builder.Host) *Builder { return &Builder{host} }

// Name implements builder.Builder.
func (*Builder) Name() string { return builder.Cluster }

// PushesItself implements builder.Pusher: the pod has pushed the image.
func (*Builder) PushesItself() {}

// Check implements builder.Builder.
func (*Builder) Check(r builder.Request) error {
	if r.AllowMissingCommand {
		return fault.New(fault.Usage, builder.OptionOp, "AllowMissingCommand", "it has no effect on a build in the cluster: the pod checks what it has built")
	}
	if err := r.RefuseBaseImage(); err != nil {
		return err
	}
	return r.RequireDockerfile("builder.cluster", "a build in the cluster")
}

// Build implements builder.Builder: it has the cluster build the project and push it
// to r.Tag.
func (b *Builder) Build(ctx context.Context, r builder.Request) (*builder.Result, error) {
	started := b.host.Now()
	spec, err := b.spec(r)
	if err != nil {
		return nil, err
	}
	needed, err := dockerfile.Needs(ctx, dockerfile.Spec{
		Options: *spec.Dockerfile, Dir: r.Dir, Platform: spec.Platforms[0], Report: r.Reporter(),
	})
	if err != nil {
		return nil, err
	}
	defer needed.Close()
	client, err := b.host.Cluster(cmp.Or(r.Pod.Namespace, r.Namespace))
	if err != nil {
		return nil, err
	}
	registries, err := b.host.Registry()
	if err != nil {
		return nil, err
	}
	run := &run{host: b.host, request: r, spec: spec, needed: needed, cluster: client, registries: registries}
	request, err := run.prepare(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := clusterbuild.Run(ctx, client, *request, r.Reporter())
	if err != nil {
		return nil, err
	}
	made, err := resultOf(answer)
	if err != nil {
		return nil, err
	}
	if err := run.sign(ctx, made.Digest); err != nil {
		return nil, err
	}
	r.Reporter().Step(fmt.Sprintf("built and pushed %s (%s)", r.Tag, b.host.Since(started)))
	return &builder.Result{Result: made, Pushed: true}, nil
}

func (b *Builder) spec(r builder.Request) (build.Spec, error) {
	spec, err := b.host.Spec(r)
	if err != nil {
		return spec, err
	}
	spec.Dockerfile = dockerfilebuilder.Options(r)
	if len(spec.Platforms) == 0 {
		spec.Platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}}
	}
	return spec, nil
}

// run is one Build under way.
type run struct {
	host       *builder.Host
	request    builder.Request
	spec       build.Spec
	needed     *dockerfile.Needed
	cluster    *cluster.Client
	registries *registry.Client
}

// prepare returns what the cluster is asked for.
func (r *run) prepare(ctx context.Context) (*clusterbuild.Spec, error) {
	pushTo, err := UnsignedTag(r.request.Tag, r.request.Signer() != nil)
	if err != nil {
		return nil, err
	}
	cache := StepRepository(&r.request, r.spec.Signed)
	// All that the pod reads and writes.
	refs := append(slices.Clone(r.needed.Images), pushTo)
	if cache != "" {
		refs = append(refs, cache)
	}
	order, err := r.order(ctx, refs)
	if err != nil {
		return nil, err
	}
	order.Tag, order.CacheRepo = pushTo, cache
	image, architecture, err := r.podImage(ctx)
	if err != nil {
		return nil, err
	}
	credentials, err := r.registries.DockerConfig(ctx, append(refs, image)...)
	if err != nil {
		return nil, err
	}
	spec := &clusterbuild.Spec{
		Name: builder.ImageName(r.request.Tag), Namespace: r.cluster.Namespace(), Image: image, Architecture: architecture,
		Resources: r.request.Pod.Resources, DockerConfig: credentials, Order: *order, Files: r.needed.Files,
	}
	if deadline, ok := ctx.Deadline(); ok {
		spec.Timeout = deadline.Sub(r.host.Now())
	}
	return spec, nil
}

// sign signs the image, if it is to be signed, and gives it its own tag.
func (r *run) sign(ctx context.Context, digest v1.Hash) error {
	signer := r.request.Signer()
	if signer == nil {
		return nil
	}
	if err := r.registries.Sign(ctx, digest, r.request.Tag, signer); err != nil {
		return err
	}
	_, err := r.registries.Retag(ctx, digest, r.request.Tag)
	return err
}

// UnsignedTag returns where a pod pushes to. It never gets the key, so an image that
// is to be signed gets its own tag from here, when that is done.
func UnsignedTag(tag string, signed bool) (string, error) {
	ref, err := registry.ParseTag(tag)
	if err != nil || !signed {
		return tag, err
	}
	return ref.Name() + ":kn-lite-unsigned", nil
}

// StepRepository returns where a pod finds and leaves the layers of steps; "" with a
// note where signatures count.
func StepRepository(r *builder.Request, signed bool) string {
	repository := r.Dockerfile.Repository
	if repository != "" && signed {
		r.Reporter().Note(fmt.Sprintf("the pod runs every step: it has no key, so it cannot know which of the layers in %s are yours", repository))
		return ""
	}
	return repository
}

// RefuseCertificates refuses images whose registry wants a client certificate: a pod
// does not get its key.
func RefuseCertificates(reach registry.Options, images []string) error {
	for _, image := range images {
		ref, err := registry.Parse(image)
		if err != nil {
			continue // the build says so, if it gets there
		}
		if _, ok := reach.Certificates[ref.Registry]; ok {
			return fault.New(fault.Usage, "builder.cluster", ref.Registry, "the registry has a client certificate, and its key does not leave this machine").
				WithHint("build here, with the builder %q", builder.Dockerfile)
		}
	}
	return nil
}

// order returns what the pod is told; refs are the images that it reads and writes.
func (r *run) order(ctx context.Context, refs []string) (*clusterbuild.Order, error) {
	reach := r.registries.Options()
	if err := RefuseCertificates(reach, refs); err != nil {
		return nil, err
	}
	order := &clusterbuild.Order{
		Options: *r.spec.Dockerfile, Epoch: r.spec.Epoch, Labels: r.spec.Labels,
		SBOM: r.spec.Documents.SBOM, Provenance: r.spec.Documents.Provenance,
		Registry: clusterbuild.Registry{Insecure: reach.Insecure, Mirrors: reach.Mirrors},
	}
	if order.Provenance {
		order.Source = build.Checkout(ctx, r.spec.Dir, r.spec.Environ)
	}
	order.Options.File = r.needed.Name
	if r.needed.Name == "" {
		order.Options.File, order.Dockerfile, order.Dockerignore = r.spec.Dockerfile.File, r.needed.File, r.needed.Ignore
	}
	for _, p := range r.spec.Platforms {
		order.Platforms = append(order.Platforms, p.String())
	}
	var err error
	if file := reach.CAFile; file != "" {
		if order.Registry.CA, err = os.ReadFile(file); err != nil {
			return nil, &fault.Error{Op: "registry.ca", Kind: fault.Usage, Subject: file, Err: err}
		}
	}
	order.Registry.Routes, err = RegistryRoutes(ctx, r.cluster, refs)
	return order, err
}

// RegistryRoutes returns where pods find the registries that are local to the
// cluster. One on loopback that nobody has a route to is not to be reached.
func RegistryRoutes(ctx context.Context, client *cluster.Client, images []string) (map[string]string, error) {
	var routes map[string]string
	local, unread := client.LocalRegistry(ctx)
	if unread != nil && fault.KindOf(unread) != fault.Auth {
		return nil, unread
	}
	if local != nil && local.Cluster != "" && local.Cluster != local.Host {
		routes = map[string]string{local.Host: local.Cluster}
	}
	for _, text := range images {
		ref, err := registry.Parse(text)
		if err != nil {
			continue // the build says so, if it gets there
		}
		if routes[ref.Registry] == "" && loopback.IsHost(ref.Registry) {
			text := "this registry is on loopback, where a pod of the cluster does not find it"
			if unread != nil {
				return nil, fault.New(fault.Auth, "builder.cluster", ref.Registry, "%s, and where it would is not to be learned: %w", text, unread)
			}
			return nil, fault.New(fault.Conflict, "builder.cluster", ref.Registry, "%s", text).
				WithHint("use a registry that both reach; one that belongs to the cluster says so in the ConfigMap local-registry-hosting of kube-public (hostFromClusterNetwork)")
		}
	}
	return routes, nil
}

// publicImage is where releases put their own image.
const publicImage = "ghcr.io/kn-lite/kn-lite"

// podImage returns the image of kn-lite that the pod runs, and the architecture of
// the nodes that can run it: the one that was named; else, on Linux, this very
// program, pushed beside the image that it builds; else that of this release.
func (r *run) podImage(ctx context.Context) (image, architecture string, err error) {
	wanted := r.spec.Platforms[0].Architecture
	if named := cmp.Or(r.request.Pod.Image, r.request.Pod.Images[builder.Cluster]); named != "" {
		if _, err := registry.Parse(named); err != nil {
			return "", "", err
		}
		return named, wanted, nil
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == wanted {
		image, platform, err := r.pushSelf(ctx)
		return image, platform.Architecture, err
	}
	release, ok := r.host.Release()
	if !ok {
		return "", "", fault.New(fault.Conflict, "builder.cluster.image", "", "there is no image of this kn-lite: it is no release, and not a program for linux/%s itself", wanted)
	}
	return publicImage + ":" + release, wanted, nil
}

// pushSelf pushes an image of this program to the repository of the request's tag,
// unless it is there, and returns its reference by digest.
func (r *run) pushSelf(ctx context.Context) (string, v1.Platform, error) {
	program, err := os.Executable()
	if err != nil {
		return "", v1.Platform{}, err
	}
	image, platform, err := build.Program(ctx, program, r.spec.CacheDir, r.host.Now)
	if err != nil {
		return "", platform, &fault.Error{Op: "builder.cluster.program", Kind: fault.KindOf(err), Err: err, Hint: fault.HintOf(err)}
	}
	digest, err := image.Digest()
	if err != nil {
		return "", platform, err
	}
	ref, err := registry.ParseTag(r.request.Tag)
	if err != nil {
		return "", platform, err
	}
	at := ref.Name() + ":kn-lite-builder-" + digest.Hex[:16]
	if found, ok := r.registries.Find(ctx, at); ok && found == digest {
		return ref.WithDigest(digest.String()), platform, nil
	}
	pushed, err := r.host.Push(ctx, image, at, registry.Attached{})
	return pushed, platform, err
}

// resultOf returns answer as a build on this machine gives it, with no image.
func resultOf(answer *clusterbuild.Result) (*build.Result, error) {
	digest, err := v1.NewHash(answer.Digest)
	if err != nil {
		return nil, fault.New(fault.Failure, "clusterbuild.run", "", "the build pod named no digest: %w", err)
	}
	out := &build.Result{Language: build.DockerfileLanguage, Digest: digest}
	for _, p := range answer.Platforms {
		platform, err := v1.ParsePlatform(p.Platform)
		if err != nil {
			return nil, err
		}
		made := build.PlatformBuild{Platform: *platform, Base: p.Base}
		for _, l := range p.Layers {
			info := build.LayerInfo{Name: l.Name, Size: l.Size, Cached: l.Cached}
			if info.Digest, err = v1.NewHash(l.Digest); err != nil {
				return nil, err
			}
			made.Layers = append(made.Layers, info)
		}
		out.Builds = append(out.Builds, made)
	}
	return out, nil
}
