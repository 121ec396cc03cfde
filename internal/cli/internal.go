package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sandbox"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// newInternalCmd holds what kn-lite runs itself, elsewhere, and what its releases
// need. It is in no help and may change at any time.
func newInternalCmd(f *Factory) *cobra.Command {
	cmd := newGroupCmd("internal", "What kn-lite runs itself", "", newClusterBuildCmd(f), newBuilderImageCmd(f))
	cmd.Hidden = true
	return cmd
}

type clusterBuildOptions struct {
	Work, Verdict, AuthFile string
}

func newClusterBuildCmd(f *Factory) *cobra.Command {
	o := &clusterBuildOptions{}
	cmd := &cobra.Command{
		Use:   "cluster-build",
		Short: "Build what comes in on stdin; the pod of --builder cluster",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runClusterBuild(cmd.Context(), f, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Work, "work", clusterbuild.WorkDir, "an empty `FOLDER`")
	flags.StringVar(&o.Verdict, "verdict", clusterbuild.VerdictFile, "`FILE` that the result is written to")
	flags.StringVar(&o.AuthFile, "authfile", clusterbuild.AuthFile, "credentials `FILE`, if there is one")
	return cmd
}

// runClusterBuild is the pod's side of a build in the cluster.
func runClusterBuild(ctx context.Context, f *Factory, o *clusterBuildOptions) error {
	ctx, client := clusterbuild.Accept(ctx, f.IO.In, clusterbuild.Silence)
	log := clusterbuild.NewLog(f.IO.Out)
	result, err := o.build(ctx, f, client, log)
	if err != nil && clusterbuild.Lost(ctx) {
		err = fault.New(fault.Transient, "clusterbuild.run", "", "nothing was heard of the client for %s: the build is given up", clusterbuild.Silence)
	}
	digest := ""
	if err == nil {
		digest = result.Digest.String()
		log.Result(platformsOf(result))
	}
	if writeErr := os.WriteFile(o.Verdict, clusterbuild.Verdict(digest, err), 0o644); err == nil {
		err = writeErr
	}
	return err
}

func (o *clusterBuildOptions) build(ctx context.Context, f *Factory, client *clusterbuild.Client, log *clusterbuild.Log) (*build.Result, error) {
	// A volume of a pod is open to everybody, and no place for sandboxes then.
	dir := filepath.Join(o.Work, "context")
	if err := errors.Join(os.Chmod(o.Work, 0o700), os.Mkdir(dir, 0o755)); err != nil {
		return nil, err
	}
	log.Ready()
	order, err := client.Receive(ctx, dir)
	if err != nil {
		return nil, err
	}
	log.Taken()
	go client.Watch()
	registries, err := o.registries(order, log)
	if err != nil {
		return nil, err
	}
	defer registries.Close()
	options := order.Options
	if order.Dockerfile != nil {
		options.File = filepath.Join(o.Work, "Dockerfile")
		if err := os.WriteFile(options.File, order.Dockerfile, 0o644); err != nil {
			return nil, err
		}
		if order.Dockerignore != nil {
			if err := os.WriteFile(options.File+".dockerignore", order.Dockerignore, 0o644); err != nil {
				return nil, err
			}
		}
	} else {
		options.File = filepath.Join(dir, filepath.FromSlash(options.File))
	}
	spec := build.Spec{
		Dir: dir, Dockerfile: &options, Epoch: order.Epoch, Labels: order.Labels,
		Environ: f.Sys.Vars, CacheDir: settings.CacheDir(f.Sys.Env), Now: f.Sys.Now, Progress: log,
		Pull: func(ctx context.Context, ref string, p v1.Platform) (v1.Image, error) {
			return registries.Pull(ctx, ref, p)
		},
		Resolve: registries.Resolve,
	}
	if order.CacheRepo != "" {
		spec.Steps = registrySteps{client: registries, repository: order.CacheRepo}
	}
	for _, text := range order.Platforms {
		platform, err := build.ParsePlatform(text)
		if err != nil {
			return nil, err
		}
		spec.Platforms = append(spec.Platforms, platform)
	}
	result, err := build.Dockerfile(ctx, spec)
	if exit, ok := errors.AsType[*sandbox.ExitError](err); ok && exit.Code == 128+9 && fault.HintOf(err) == "" {
		return nil, &fault.Error{Op: "clusterbuild.run", Kind: fault.Build, Err: err, Hint: "137 is a kill, mostly for want of memory: --builder-resources memory=4Gi"}
	}
	if err != nil {
		return nil, err
	}
	task := log.Start("pushing to "+order.Tag, 0)
	made := &builtImage{
		Result: result, wanted: build.Documents{SBOM: order.SBOM, Provenance: order.Provenance},
		facts: build.Facts{
			Builder: clusterBuilder, Epoch: order.Epoch, CacheDir: spec.CacheDir,
			Source: func(context.Context) *attest.Source { return order.Source },
		},
	}
	_, err = registries.PushWith(ctx, result.Artifact(), order.Tag, made.attached(order.Tag, nil))
	progress.End(task, "pushed "+order.Tag, err)
	return result, err
}

// registries is the client for the registries that the order tells how to reach.
func (o *clusterBuildOptions) registries(order *clusterbuild.Order, log *clusterbuild.Log) (*registry.Client, error) {
	options := registry.Options{
		Insecure: order.Registry.Insecure, Mirrors: order.Registry.Mirrors, Routes: order.Registry.Routes,
		Progress: log, AuthFileFrom: "the build's secret",
	}
	if _, err := os.Stat(o.AuthFile); err == nil {
		options.AuthFile = o.AuthFile
	}
	if len(order.Registry.CA) > 0 {
		options.CAFile = filepath.Join(o.Work, "ca.pem")
		if err := os.WriteFile(options.CAFile, order.Registry.CA, 0o644); err != nil {
			return nil, err
		}
	}
	return registry.New(options)
}

func platformsOf(result *build.Result) []clusterbuild.Platform {
	var out []clusterbuild.Platform
	for _, b := range result.Builds {
		p := clusterbuild.Platform{Platform: b.Platform.String(), Base: b.Base}
		for _, l := range b.Layers {
			p.Layers = append(p.Layers, clusterbuild.Layer{Name: l.Name, Digest: l.Digest.String(), Size: l.Size, Cached: l.Cached})
		}
		out = append(out, p)
	}
	return out
}

// newBuilderImageCmd is for releases and for closed networks: it pushes the image
// that --builder cluster runs.
func newBuilderImageCmd(f *Factory) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "builder-image IMAGE [PROGRAM…]",
		Short: "Push an image of kn-lite for --builder-image, with one platform for each program",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runBuilderImage(cmd.Context(), f, args[0], args[1:])
		},
	}
	f.addRegistryFlags(cmd)
	return cmd
}

func runBuilderImage(ctx context.Context, f *Factory, tag string, programs []string) error {
	if len(programs) == 0 {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		programs = []string{self}
	}
	cache := settings.CacheDir(f.Sys.Env)
	var artifact registry.Artifact
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, program := range programs {
		image, platform, err := build.Program(ctx, program, cache, f.Sys.Now)
		if err != nil {
			return err
		}
		artifact = image
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	if len(programs) > 1 {
		artifact = index
	}
	ref, err := f.pushImage(ctx, artifact, tag, registry.Attached{})
	if err != nil {
		return err
	}
	return f.print(answer{
		Object: map[string]string{"apiVersion": apiVersion, "kind": "BuilderImage", "image": ref},
		Names:  []string{ref},
		Table:  func() error { return f.IO.Answer("%s", ref) },
	})
}
