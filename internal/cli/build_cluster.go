package cli

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/loopback"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/term"
)

// clusterBuilder is the value of --builder.
const clusterBuilder = "cluster"

// clusterFlags are the flags that only the cluster builder has a use for.
type clusterFlags struct {
	Image     string
	Namespace string
	Resources map[string]string
}

func (c *clusterFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&c.Image, "builder-image", "", "kn-lite's own `IMAGE`, for --builder cluster (default: this program's, pushed beside the image that is built)")
	flags.StringVar(&c.Namespace, "builder-namespace", "", "`NAMESPACE` in which --builder cluster builds (default: the service's)")
	flags.StringToStringVar(&c.Resources, "builder-resources", nil, "cpu=N,memory=N,ephemeral-storage=N that the pod of --builder cluster asks for, and may use at most")
}

// checkCluster refuses what the cluster builder cannot do, before any work.
func (b *buildFlags) checkCluster(dir string, project *function.Function) error {
	if b.Builder == clusterBuilder && b.AnyStart {
		return fault.Usagef("--no-start-check has no effect with --builder cluster: the pod checks what it has built")
	}
	if b.Builder != clusterBuilder {
		if b.Cluster.Image != "" || b.Cluster.Namespace != "" || len(b.Cluster.Resources) > 0 {
			return fault.Usagef("--builder-image, --builder-namespace and --builder-resources are for --builder cluster")
		}
		return nil
	}
	if b.Docker.File == "" && !build.HasDockerfile(dir) {
		err := fault.New(fault.NotFound, "build.cluster", dir, "--builder cluster builds a Dockerfile, and there is none here")
		if knownLanguage(project) {
			return err.WithHint("--builder layers builds %s with no Dockerfile; another one is named with --file", project.Runtime)
		}
		return err.WithHint("name it with --file")
	}
	return nil
}

// buildInCluster has the cluster build the project and push it to tag.
func (f *Factory) buildInCluster(ctx context.Context, dir string, project *function.Function, b *buildFlags, tag string) (*builtImage, error) {
	if err := b.checkCluster(dir, project); err != nil {
		return nil, err
	}
	if tag == "" {
		return nil, fault.Usagef("--builder cluster pushes the image that it builds, and nothing is to be pushed here").
			WithHint("add --push, and leave away -o oci:, -o tar: and --dry-run")
	}
	started := f.Sys.Now()
	spec, err := f.buildSpec(dir, project, b)
	if err != nil {
		return nil, err
	}
	if len(spec.Platforms) == 0 {
		spec.Platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}}
	}
	needed, err := dockerfile.Needs(ctx, dockerfile.Spec{
		Options: *spec.Dockerfile, Dir: dir, Platform: spec.Platforms[0], Report: f.IO.Progress(),
	})
	if err != nil {
		return nil, err
	}
	defer needed.Close()
	client, err := f.builderCluster(project, b)
	if err != nil {
		return nil, err
	}
	pushTo, err := unsignedTag(tag, b.Attest.key != nil)
	if err != nil {
		return nil, err
	}
	cache, err := f.cacheRepository(b)
	if err != nil {
		return nil, err
	}
	if cache != "" && spec.Signed {
		f.IO.Note("the pod runs every step: it has no key, so it cannot know which of the layers in %s are yours", cache)
		cache = ""
	}
	// All that the pod reads and writes.
	refs := append(slices.Clone(needed.Images), pushTo)
	if cache != "" {
		refs = append(refs, cache)
	}
	order, err := f.clusterOrder(ctx, client, spec, needed, refs)
	if err != nil {
		return nil, err
	}
	order.Tag, order.CacheRepo = pushTo, cache
	image, architecture, err := f.builderImage(ctx, client, b, spec, tag)
	if err != nil {
		return nil, err
	}
	registries, err := f.Registry()
	if err != nil {
		return nil, err
	}
	credentials, err := registries.DockerConfig(ctx, append(refs, image)...)
	if err != nil {
		return nil, err
	}
	request := clusterbuild.Spec{
		Name: nameOf(tag), Namespace: client.Namespace(), Image: image, Architecture: architecture,
		Resources: b.Cluster.Resources, DockerConfig: credentials, Order: *order, Files: needed.Files,
	}
	if deadline, ok := ctx.Deadline(); ok {
		request.Timeout = deadline.Sub(f.Sys.Now())
	}
	result, err := clusterbuild.Run(ctx, client, request, f.IO.Progress())
	if err != nil {
		return nil, err
	}
	built, err := clusterResult(result)
	if err != nil {
		return nil, err
	}
	if b.Attest.key != nil {
		if err := registries.Sign(ctx, built.Digest, tag, b.Attest.signer("")); err != nil {
			return nil, err
		}
		if _, err := registries.Retag(ctx, built.Digest, tag); err != nil {
			return nil, err
		}
	}
	f.IO.Step("built and pushed %s (%s)", tag, term.Duration(f.Sys.Now().Sub(started)))
	return &builtImage{Result: built, pushed: true}, nil
}

// unsignedTag is where a pod pushes to. It never gets the key, so an image that is
// to be signed gets its own tag from here, when that is done.
func unsignedTag(tag string, signed bool) (string, error) {
	ref, err := registry.ParseTag(tag)
	if err != nil || !signed {
		return tag, err
	}
	return ref.Name() + ":kn-lite-unsigned", nil
}

// builderCluster is the cluster and namespace to build in.
func (f *Factory) builderCluster(project *function.Function, b *buildFlags) (*cluster.Client, error) {
	if b.Cluster.Namespace != "" {
		return f.clusterIn(b.Cluster.Namespace)
	}
	return f.clusterFor(project)
}

// clusterOrder is what the pod is told; refs are the images that it reads and writes.
func (f *Factory) clusterOrder(ctx context.Context, client *cluster.Client, spec build.Spec, needed *dockerfile.Needed, refs []string) (*clusterbuild.Order, error) {
	cfg, err := f.Config()
	if err != nil {
		return nil, err
	}
	certs, err := clientCertificates(cfg.RegistryCerts, f.registry.certs)
	if err != nil {
		return nil, err
	}
	for _, image := range refs {
		ref, err := registry.Parse(image)
		if err != nil {
			continue // the build says so, if it gets there
		}
		if _, ok := certs[ref.Registry]; ok {
			return nil, fault.New(fault.Usage, "build.cluster", ref.Registry, "the registry has a client certificate, and its key does not leave this machine").
				WithHint("build here: --builder dockerfile")
		}
	}
	order := &clusterbuild.Order{
		Options: *spec.Dockerfile, Epoch: spec.Epoch, Labels: spec.Labels,
		SBOM: spec.Documents.SBOM, Provenance: spec.Documents.Provenance,
		Registry: clusterbuild.Registry{Insecure: slices.Concat(f.registry.insecure, cfg.InsecureRegistries), Mirrors: cfg.Mirrors},
	}
	if order.Provenance {
		order.Source = build.Checkout(ctx, spec.Dir, spec.Environ)
	}
	order.Options.File = needed.Name
	if needed.Name == "" {
		order.Options.File, order.Dockerfile, order.Dockerignore = spec.Dockerfile.File, needed.File, needed.Ignore
	}
	for _, p := range spec.Platforms {
		order.Platforms = append(order.Platforms, p.String())
	}
	if file := cmp.Or(f.registry.caFile, cfg.CAFile); file != "" {
		if order.Registry.CA, err = os.ReadFile(file); err != nil {
			return nil, &fault.Error{Op: "registry.ca", Kind: fault.Usage, Subject: file, Err: err}
		}
	}
	order.Registry.Routes, err = registryRoutes(ctx, client, refs)
	return order, err
}

// registryRoutes says where pods find the registries that are local to the
// cluster. One on loopback that nobody has a route to is not to be reached.
func registryRoutes(ctx context.Context, client *cluster.Client, images []string) (map[string]string, error) {
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
				return nil, fault.New(fault.Auth, "build.cluster", ref.Registry, "%s, and where it would is not to be learned: %w", text, unread)
			}
			return nil, fault.New(fault.Conflict, "build.cluster", ref.Registry, "%s", text).
				WithHint("use a registry that both reach; one that belongs to the cluster says so in the ConfigMap local-registry-hosting of kube-public (hostFromClusterNetwork)")
		}
	}
	return routes, nil
}

// publicBuilder is where releases put their own image.
const publicBuilder = "ghcr.io/kn-lite/kn-lite"

// builderImage is the image of kn-lite that the pod runs, and the architecture
// of the nodes that can run it: the one that was named; else, on Linux, this very
// program, pushed beside the image that it builds; else that of this release.
func (f *Factory) builderImage(ctx context.Context, client *cluster.Client, b *buildFlags, spec build.Spec, tag string) (image, architecture string, err error) {
	cfg, err := f.Config()
	if err != nil {
		return "", "", err
	}
	wanted := spec.Platforms[0].Architecture
	if named := cmp.Or(b.Cluster.Image, cfg.BuilderImage); named != "" {
		if _, err := registry.Parse(named); err != nil {
			return "", "", err
		}
		return named, wanted, nil
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == wanted {
		image, platform, err := f.pushSelf(ctx, spec, tag)
		return image, platform.Architecture, err
	}
	v := currentVersion().Version
	if v == "" || v == "(devel)" || strings.ContainsAny(v, "+-") {
		return "", "", fault.New(fault.Conflict, "build.cluster", "", "there is no image of this kn-lite: it is no release, and not a program for linux/%s itself", wanted).
			WithHint("name one with --builder-image; any kn-lite on linux/%s makes one: kn-lite internal builder-image REGISTRY/kn-lite", wanted)
	}
	return publicBuilder + ":" + strings.TrimPrefix(v, "v"), wanted, nil
}

// pushSelf pushes an image of this program to the repository of tag, unless it
// is there, and returns its reference by digest.
func (f *Factory) pushSelf(ctx context.Context, spec build.Spec, tag string) (string, v1.Platform, error) {
	program, err := os.Executable()
	if err != nil {
		return "", v1.Platform{}, err
	}
	image, platform, err := build.Program(ctx, program, spec.CacheDir, f.Sys.Now)
	if err != nil {
		if e, ok := errors.AsType[*fault.Error](err); ok && e.Hint == "" {
			err = e.WithHint("the cluster runs this program; --builder-image names an image of kn-lite to run instead")
		}
		return "", platform, err
	}
	digest, err := image.Digest()
	if err != nil {
		return "", platform, err
	}
	ref, err := registry.ParseTag(tag)
	if err != nil {
		return "", platform, err
	}
	at := ref.Name() + ":kn-lite-builder-" + digest.Hex[:16]
	registries, err := f.Registry()
	if err != nil {
		return "", platform, err
	}
	if found, ok := registries.Find(ctx, at); ok && found == digest {
		return ref.WithDigest(digest.String()), platform, nil
	}
	pushed, err := f.pushImage(ctx, image, at, registry.Attached{})
	return pushed, platform, err
}

// nameOf is the last part of an image's name.
func nameOf(tag string) string {
	ref, err := registry.ParseTag(tag)
	if err != nil {
		return ""
	}
	return ref.Repository[strings.LastIndex(ref.Repository, "/")+1:]
}

// clusterResult is the result as a build on this machine gives it, with no image.
func clusterResult(result *clusterbuild.Result) (*build.Result, error) {
	digest, err := v1.NewHash(result.Digest)
	if err != nil {
		return nil, fault.New(fault.Failure, "clusterbuild.run", "", "the build pod named no digest: %w", err)
	}
	out := &build.Result{Language: build.DockerfileLanguage, Digest: digest}
	for _, p := range result.Platforms {
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
