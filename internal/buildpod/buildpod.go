// Package buildpod is what runs in the pod of a build in the cluster: it reads the
// context and the order from its standard input, builds the Dockerfile, pushes the
// image, and writes how it ended to a file that the cluster hands to the client.
package buildpod

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/builder/dockerfile"
	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// Pod is the pod's side of one build.
type Pod struct {
	Work     string // an empty folder
	Verdict  string // file that the result is written to
	AuthFile string // credentials, if there are any
	In       io.Reader
	Out      io.Writer // the pod's log
	Environ  []string  // KEY=value
	CacheDir string
	Now      func() time.Time
	Version  string // of kn-lite
}

// Run builds what comes in, and writes the verdict in any case.
func (p *Pod) Run(ctx context.Context) error {
	ctx, client := clusterbuild.Accept(ctx, p.In, clusterbuild.Silence)
	log := clusterbuild.NewLog(p.Out)
	result, err := p.build(ctx, client, log)
	if err != nil && clusterbuild.Lost(ctx) {
		err = fault.New(fault.Transient, "clusterbuild.run", "", "no heartbeat from the client for %s: the build is given up", clusterbuild.Silence)
	}
	digest := ""
	if err == nil {
		digest = result.Digest.String()
		log.Result(platformsOf(result))
	}
	if writeErr := os.WriteFile(p.Verdict, clusterbuild.Verdict(digest, err), 0o644); err == nil {
		err = writeErr
	}
	return err
}

func (p *Pod) build(ctx context.Context, client *clusterbuild.Client, log *clusterbuild.Log) (*build.Result, error) {
	// A volume of a pod is open to everybody, and no place for sandboxes then.
	dir := filepath.Join(p.Work, "context")
	if err := errors.Join(os.Chmod(p.Work, 0o700), os.Mkdir(dir, 0o755)); err != nil {
		return nil, err
	}
	log.Ready()
	order, err := client.Receive(ctx, dir)
	if err != nil {
		return nil, err
	}
	log.Taken()
	go client.Watch()
	registries, err := p.registries(order, log)
	if err != nil {
		return nil, err
	}
	defer registries.Close()
	options := order.Options
	if order.Dockerfile != nil {
		options.File = filepath.Join(p.Work, "Dockerfile")
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
		Environ: p.Environ, CacheDir: p.CacheDir, Now: p.Now, Progress: log,
		Documents: build.Documents{SBOM: order.SBOM, Provenance: order.Provenance},
		Pull: func(ctx context.Context, ref string, p v1.Platform) (v1.Image, error) {
			return registries.Pull(ctx, ref, p)
		},
		Resolve: registries.Resolve,
	}
	if order.CacheRepo != "" {
		spec.Steps = dockerfile.NewSteps(registries, order.CacheRepo, nil)
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
		return nil, &fault.Error{Op: "clusterbuild.run", Kind: fault.Build, Err: err, Hint: "137 is a kill, mostly for want of memory: {Pod.Resources} memory=4Gi"}
	}
	if err != nil {
		return nil, err
	}
	task := log.Start("pushing to "+order.Tag, 0)
	host := &builder.Host{Version: p.Version}
	made := host.NewResult(builder.Cluster, spec, result)
	made.Facts.Source = func(context.Context) *attest.Source { return order.Source }
	_, err = registries.PushWith(ctx, result.Artifact(), order.Tag, made.Attachments(order.Tag, nil))
	progress.End(task, "pushed "+order.Tag, err)
	return result, err
}

// registries is the client for the registries that the order tells how to reach.
func (p *Pod) registries(order *clusterbuild.Order, log *clusterbuild.Log) (*registry.Client, error) {
	options := registry.Options{
		Insecure: order.Registry.Insecure, Mirrors: order.Registry.Mirrors, Routes: order.Registry.Routes,
		Progress: log, AuthFileFrom: "the build's secret",
	}
	if _, err := os.Stat(p.AuthFile); err == nil {
		options.AuthFile = p.AuthFile
	}
	if len(order.Registry.CA) > 0 {
		options.CAFile = filepath.Join(p.Work, "ca.pem")
		if err := os.WriteFile(options.CAFile, order.Registry.CA, 0o644); err != nil {
			return nil, err
		}
	}
	return registry.New(options)
}

func platformsOf(result *build.Result) []clusterbuild.Platform {
	var out []clusterbuild.Platform
	for _, b := range result.Builds {
		platform := clusterbuild.Platform{Platform: b.Platform.String(), Base: b.Base}
		for _, l := range b.Layers {
			platform.Layers = append(platform.Layers, clusterbuild.Layer{Name: l.Name, Digest: l.Digest.String(), Size: l.Size, Cached: l.Cached})
		}
		out = append(out, platform)
	}
	return out
}
