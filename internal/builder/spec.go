package builder

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Spec translates r for the engine in internal/build. Dockerfile and Steps are left
// to builders that have a use for them.
func (h *Host) Spec(r Request) (build.Spec, error) {
	if r.CacheDir == "" {
		return build.Spec{}, fault.Usagef("there is no place for what builds leave for the next one").WithHint("set HOME, or XDG_CACHE_HOME, to an absolute path")
	}
	spec := build.Spec{
		Dir: r.Dir, Platforms: r.Platforms, Base: r.BaseImage, Bases: r.BaseImages, Epoch: r.Epoch, Labels: r.Labels,
		Environ: r.Environ, BuildEnv: r.BuildEnv, CacheDir: r.CacheDir, Now: h.Now,
		Fresh: r.NoCache, AnyStart: r.AllowMissingCommand, AnyLock: r.AllowMissingLock,
		Documents: r.Documents,
		Signed:    r.Signing != nil && r.Signing.Restricts(),
		Builder:   fingerprint(h.Version, r.CacheDir, h.Now),
		Progress:  r.Reporter(),
		Pull: func(ctx context.Context, ref string, p v1.Platform) (v1.Image, error) {
			client, err := h.Registry()
			if err != nil {
				return nil, err
			}
			return client.Pull(ctx, ref, p)
		},
		Resolve: func(ctx context.Context, ref string) (v1.Hash, error) {
			client, err := h.Registry()
			if err != nil {
				return v1.Hash{}, err
			}
			return client.Resolve(ctx, ref)
		},
	}
	if r.Project != nil {
		spec.Language = r.Project.Runtime
	}
	return spec, nil
}

// NewResult returns what the builder name has made by spec.
func (h *Host) NewResult(name string, spec build.Spec, made *build.Result) *Result {
	return &Result{
		Result: made, Documents: spec.Documents,
		Facts: build.Facts{
			Builder: name, Version: h.Version, Epoch: spec.Epoch, CacheDir: spec.CacheDir,
			Source: func(ctx context.Context) *attest.Source { return build.Checkout(ctx, spec.Dir, spec.Environ) },
		},
	}
}

// fingerprint tells this kn-lite from all others that might build something else:
// the release, or where sources have been changed, a digest of the program.
func fingerprint(version, cacheDir string, now func() time.Time) string {
	toolchain := " (" + runtime.Version() + ")"
	if version != "" && version != "(devel)" && !strings.Contains(version, "+dirty") {
		return version + toolchain
	}
	program, err := os.Executable()
	if err != nil {
		return ""
	}
	cache := key.OpenCache(filepath.Join(cacheDir, "stat", "program"), now)
	info, err := os.Stat(program)
	if err != nil {
		return ""
	}
	digest, err := cache.Digest(program, info)
	if err != nil {
		return ""
	}
	// What is not saved is read again.
	_ = cache.Save()
	return "program " + digest + toolchain
}
