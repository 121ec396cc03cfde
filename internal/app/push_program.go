package app

import (
	"context"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// PushProgram pushes an image of kn-lite, as builds in the cluster run it, to tag, and
// returns the reference by digest. programs are files, one for each platform.
func (a *App) PushProgram(ctx context.Context, tag string, programs []string) (string, error) {
	return a.pushPrograms(ctx, tag, programs, build.Program)
}

// PushKaniko is PushProgram for kaniko's executor.
func (a *App) PushKaniko(ctx context.Context, tag string, programs []string) (string, error) {
	return a.pushPrograms(ctx, tag, programs, build.Kaniko)
}

// imageOf makes an image of a program.
type imageOf func(ctx context.Context, file, cacheDir string, now func() time.Time) (v1.Image, v1.Platform, error)

func (a *App) pushPrograms(ctx context.Context, tag string, programs []string, imageOf imageOf) (string, error) {
	cache := settings.CacheDir(a.Env)
	var artifact registry.Artifact
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, program := range programs {
		image, platform, err := imageOf(ctx, program, cache, a.Now)
		if err != nil {
			return "", err
		}
		artifact = image
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	if len(programs) > 1 {
		artifact = index
	}
	return a.pushArtifact(ctx, artifact, tag, registry.Attached{})
}
