package build

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/startup"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// DockerfileLanguage is Result.Language of a Dockerfile build.
const DockerfileLanguage = "dockerfile"

// HasDockerfile reports whether the folder has a Dockerfile of the usual name.
func HasDockerfile(dir string) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	info, err := root.Stat(dockerfile.DefaultFile)
	return err == nil && info.Mode().IsRegular()
}

// Dockerfile is Build for a project that says itself how it is built. Of spec,
// Language, Bases and what is for the key have no meaning.
func Dockerfile(ctx context.Context, spec Spec) (*Result, error) {
	spec = spec.withDefaults()
	platforms, err := normalise(spec.Platforms)
	if err != nil {
		return nil, err
	}
	store, err := layer.Open(spec.CacheDir, spec.Now)
	if err != nil {
		return nil, err
	}
	spec.listen(ctx, store)
	pull := spec.pullOnce(ctx)
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return nil, err
	}
	sums := key.OpenCache(filepath.Join(stamps(spec.CacheDir), "dockerfile-"+folderName(dir)), spec.Now)
	result := &Result{Language: DockerfileLanguage}
	// One after the other: their output would be hard to tell apart.
	for _, platform := range platforms {
		image, err := dockerfile.Build(ctx, dockerfile.Spec{
			Options: *spec.Dockerfile, Dir: spec.Dir, Platform: platform, Epoch: spec.Epoch, Labels: spec.Labels,
			CacheDir: spec.CacheDir, TempDir: lang.Lookup(spec.Environ, "TMPDIR"), Path: lang.Lookup(spec.Environ, "PATH"), Store: store, Steps: spec.Steps, Signed: spec.Signed, Now: spec.Now, Boot: bootID(), Sums: sums, Report: spec.Progress,
			Pull: pull, HostFile: hostFile,
		})
		if err != nil {
			return nil, err
		}
		built := PlatformBuild{Platform: platform, Image: image.Image, Base: image.Base, used: image.Used}
		for _, l := range image.Layers {
			info := LayerInfo{Name: l.Name, Cached: l.Cached}
			info.Digest, _ = l.Layer.Digest()
			info.Size, _ = l.Layer.Size()
			built.Layers = append(built.Layers, info)
		}
		if err := spec.checkStart(ctx, &built, store); err != nil {
			return nil, err
		}
		result.Builds = append(result.Builds, built)
	}
	// What is not remembered is read again.
	_ = sums.Save()
	store.Prune(append(startup.Folders(spec.CacheDir), made(spec.CacheDir), stamps(spec.CacheDir))...)
	return result, result.finish()
}

// pullOnce returns what all platforms pull their bases with.
func (s Spec) pullOnce(ctx context.Context) dockerfile.Pull {
	pull := func(ref string, p v1.Platform) (v1.Image, error) {
		if s.Pull == nil {
			return nil, fault.New(fault.Failure, "build.base", ref, "no registry client to pull it with")
		}
		return s.Pull(ctx, ref, p)
	}
	if s.Resolve == nil {
		return dockerfile.PullOnce(pull, nil)
	}
	return dockerfile.PullOnce(pull, func(ref string) (v1.Hash, error) { return s.Resolve(ctx, ref) })
}

// bootID names this boot of the machine; "" is a machine that does not say.
func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if id := strings.TrimSpace(string(raw)); err == nil && fs.ValidPath(id) && !strings.Contains(id, "/") {
		return id
	}
	return ""
}

// hostFile reads one of the files that a build shares with the host.
func hostFile(name string) ([]byte, error) {
	if !slices.Contains([]string{"/etc/resolv.conf", "/etc/hosts"}, name) {
		return nil, errors.ErrUnsupported
	}
	raw, err := regular.ReadFile(name)
	if errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	return raw, err
}
