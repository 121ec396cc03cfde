// Package kaniko builds a Dockerfile with kaniko's executor, as it is released: any
// image of it, in a pod of the cluster. kn-lite sends the context through the pod's
// standard input and reads its log; kaniko pushes.
//
// What kaniko is known to do silently wrong is refused before any work; see refuse.
package kaniko

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/builder"
	clusterbuilder "github.com/kn-lite/kn-lite/internal/builder/cluster"
	dockerfilebuilder "github.com/kn-lite/kn-lite/internal/builder/dockerfile"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// lease is how long a build goes on when kn-lite has been killed.
const lease = time.Minute

// Builder is the kaniko builder.
type Builder struct{ host *builder.Host }

var (
	_ builder.Builder = (*Builder)(nil)
	_ builder.Pusher  = (*Builder)(nil)
)

// New returns the kaniko builder.
func New(host *builder.Host) *Builder { return &Builder{host} }

// Name implements builder.Builder.
func (*Builder) Name() string { return builder.Kaniko }

// PushesItself implements builder.Pusher: the pod has pushed the image.
func (*Builder) PushesItself() {}

// Build implements builder.Builder: it has kaniko build the project and push it to
// r.Tag.
func (b *Builder) Build(ctx context.Context, r builder.Request) (*builder.Result, error) {
	started := b.host.Now()
	t, err := b.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer t.needed.Close()
	made, err := t.run(ctx)
	if err != nil {
		return nil, err
	}
	result := b.host.NewResult(builder.Kaniko, t.spec, made)
	if err := t.publish(ctx, result); err != nil {
		return nil, err
	}
	r.Reporter().Step(fmt.Sprintf("built and pushed %s (%s)", r.Tag, b.host.Since(started)))
	result.Pushed = true
	return result, nil
}

// task is one Build under way.
type task struct {
	host       *builder.Host
	request    builder.Request
	spec       build.Spec
	platform   v1.Platform
	needed     *dockerfile.Needed
	image      string // of the executor
	cluster    *cluster.Client
	registries *registry.Client
}

// open finds out all that can be wrong before anything is done.
func (b *Builder) open(ctx context.Context, r builder.Request) (*task, error) {
	spec, err := b.host.Spec(r)
	if err != nil {
		return nil, err
	}
	t := &task{host: b.host, request: r, spec: spec, platform: v1.Platform{OS: "linux", Architecture: "amd64"}}
	if len(r.Platforms) > 0 {
		t.platform = r.Platforms[0]
	}
	if t.image, err = b.executor(r); err != nil {
		return nil, err
	}
	t.needed, err = dockerfile.Needs(ctx, dockerfile.Spec{
		Options: *dockerfilebuilder.Options(r), Dir: r.Dir, Platform: t.platform, Report: r.Reporter(),
	})
	if err != nil {
		return nil, err
	}
	err = refuse(t.needed, t.image, r.Dockerfile.File)
	if err == nil {
		t.cluster, err = b.host.Cluster(cmp.Or(r.Pod.Namespace, r.Namespace))
	}
	if err == nil {
		t.registries, err = b.host.Registry()
	}
	if err != nil {
		return nil, errors.Join(err, t.needed.Close())
	}
	return t, nil
}

// publicImage is where releases put kaniko's executor.
const publicImage = "ghcr.io/kn-lite/kaniko"

// executor returns the image of kaniko that is to be run: the one that the request
// names, that of the settings, that of this release.
func (b *Builder) executor(r builder.Request) (string, error) {
	if named := cmp.Or(r.Pod.Image, r.Pod.Images[builder.Kaniko]); named != "" {
		_, err := registry.Parse(named)
		return named, err
	}
	release, ok := b.host.Release()
	if !ok {
		return "", fault.New(fault.Conflict, "builder.kaniko.image", "", "this kn-lite is no release, and has no image of kaniko").
			WithHint("name one in the settings (kanikoImage), for example gcr.io/kaniko-project/executor:v1.24.0; make kaniko-image builds one")
	}
	return publicImage + ":" + release, nil
}

// run has the pod build and returns what it has pushed.
func (t *task) run(ctx context.Context) (*build.Result, error) {
	pushTo, err := clusterbuilder.UnsignedTag(t.request.Tag, t.publishes())
	if err != nil {
		return nil, err
	}
	// All that the pod reads and writes.
	refs := append(slices.Clone(t.needed.Images), pushTo)
	cache := clusterbuilder.StepRepository(&t.request, t.spec.Signed)
	if cache != "" {
		refs = append(refs, cache)
	}
	reach := t.registries.Options()
	if err := clusterbuilder.RefuseCertificates(reach, refs); err != nil {
		return nil, err
	}
	routes, err := clusterbuilder.RegistryRoutes(ctx, t.cluster, refs)
	if err != nil {
		return nil, err
	}
	call := &invocation{
		context: "tar://stdin", dockerfile: contextDir + "/Dockerfile",
		target: t.request.Dockerfile.Target, platform: t.platform, args: t.request.Dockerfile.Args, labels: t.request.Labels,
		insecure: reach.Insecure, mirrors: reach.Mirrors, routes: routes,
	}
	if call.destination, err = routed(pushTo, routes); err != nil {
		return nil, err
	}
	if cache != "" && !t.request.NoCache {
		if call.cache, err = routedRepository(cache, routes); err != nil {
			return nil, err
		}
	}
	request := &clusterbuild.Spec{
		Name: builder.ImageName(t.request.Tag), Namespace: t.cluster.Namespace(), Image: t.image, Architecture: t.platform.Architecture,
		Resources: t.request.Pod.Resources, Lease: lease,
	}
	if err := t.authorise(ctx, request, call, refs, routes); err != nil {
		return nil, err
	}
	files, err := t.context()
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		request.Timeout = deadline.Sub(t.host.Now())
	}
	report := t.request.Reporter()
	request.Program = &program{image: t.image, args: call.arguments(), files: files, report: report, log: newBuildLog(report)}
	answer, err := clusterbuild.Run(ctx, t.cluster, *request, report)
	if err != nil {
		return nil, err
	}
	digest, err := v1.NewHash(answer.Digest)
	return &build.Result{Language: build.DockerfileLanguage, Digest: digest}, err
}

// context returns the files that are sent: the context, and beside it the Dockerfile
// with what it ignores, itself first of all.
func (t *task) context() ([]layer.File, error) {
	ignore, err := t.needed.IgnoreFile()
	if err != nil {
		return nil, err
	}
	return append([]layer.File{
		layer.Dir(contextDir, 0o755),
		layer.Bytes(contextDir+"/Dockerfile", 0o644, t.needed.File),
		layer.Bytes(contextDir+"/Dockerfile.dockerignore", 0o644, fmt.Appendf(ignore, "\n%s\n", contextDir)),
	}, t.needed.Files...), nil
}

// publishes reports whether something has to be done to the image before its tag
// may point at it.
func (t *task) publishes() bool {
	return t.request.Signer() != nil || t.request.Documents != build.Documents{}
}

// publish attaches what belongs to the image and gives it its tag, where kaniko has
// not done so. That the image is where kaniko says is checked in any case.
func (t *task) publish(ctx context.Context, result *builder.Result) error {
	ref, err := registry.ParseTag(t.request.Tag)
	if err != nil {
		return err
	}
	at := ref.WithDigest(result.Digest.String())
	image, err := t.registries.Pull(ctx, at, t.platform)
	if err != nil {
		return err
	}
	made, err := builder.PlatformBuild(t.platform, image)
	if err != nil {
		return err
	}
	result.Image, result.Builds = image, []build.PlatformBuild{made}
	if !t.publishes() {
		return nil
	}
	_, err = t.host.Push(ctx, image, t.request.Tag, result.Attachments(t.request.Tag, t.request.Signer()))
	return err
}
