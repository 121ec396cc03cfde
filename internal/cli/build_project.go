package cli

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/settings"
	"github.com/kn-lite/kn-lite/internal/sign"
	"github.com/kn-lite/kn-lite/internal/term"
)

// keyTag is where the image of a build is found by its key, beside the tag that
// the user knows.
func keyTag(tag, key string) string {
	ref, err := registry.ParseTag(tag)
	if err != nil || key == "" {
		return ""
	}
	return ref.Name() + ":kn-lite-key-" + key
}

// buildProject builds the project in dir, unless an earlier build with the same
// key is known on this machine or, when pushTo is not "", in the repository that
// it will be pushed to. project is the folder's func.yaml, or nil. build and
// deploy share it.
func (f *Factory) buildProject(ctx context.Context, dir string, project *function.Function, b *buildFlags, pushTo string) (*builtImage, error) {
	if b.Builder == clusterBuilder {
		return f.buildInCluster(ctx, dir, project, b, pushTo)
	}
	if err := b.checkCluster(dir, project); err != nil {
		return nil, err
	}
	spec, err := f.buildSpec(dir, project, b)
	if err != nil {
		return nil, err
	}
	built, err := f.buildWith(ctx, spec, b, pushTo)
	if err != nil {
		return nil, err
	}
	f.markMade(spec, built)
	built.describedBy(spec)
	return built, ctx.Err()
}

func (f *Factory) buildWith(ctx context.Context, spec build.Spec, b *buildFlags, pushTo string) (*builtImage, error) {
	started := f.Sys.Now()
	if spec.Dockerfile != nil {
		// Its steps have keys of their own.
		result, err := build.Dockerfile(ctx, spec)
		if err != nil {
			return nil, err
		}
		f.IO.Step("built %s (%s)", result.Digest, term.Duration(f.Sys.Now().Sub(started)))
		return &builtImage{Result: result}, nil
	}
	prepared, err := build.Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer prepared.Close()
	id, why, err := prepared.Identify(ctx)
	if err != nil {
		return nil, err
	}
	if id == nil {
		f.IO.Debug("no key: %s", why)
	}
	if id != nil && !b.NoCache {
		if found := f.findBuilt(ctx, spec, prepared, id, pushTo, b.Attest.trusted); found != nil {
			prepared.NoteWithheld(ctx)
			f.IO.Step("unchanged: %s (%s)", found.Digest, term.Duration(f.Sys.Now().Sub(started)))
			return found, nil
		}
	}
	result, err := prepared.Build(ctx)
	if err != nil {
		return nil, err
	}
	f.IO.Step("built %s (%s)", result.Digest, term.Duration(f.Sys.Now().Sub(started)))
	out := &builtImage{Result: result}
	if id == nil {
		return out, nil
	}
	remembered, err := prepared.Remember(ctx, id, result)
	switch {
	case err != nil:
		f.IO.Debug("the build is not remembered: %v", err)
	case remembered:
		out.key = id.String()
	default:
		f.IO.Warn("the sources changed while they were built; build again to be sure of what is in the image")
	}
	return out, nil
}

// markMade records that this machine has built the image, and not only found it.
func (f *Factory) markMade(spec build.Spec, b *builtImage) {
	if b.unchanged && b.open == nil {
		return
	}
	if err := build.MarkMade(spec.CacheDir, b.Digest); err != nil {
		f.IO.Debug("the build is not remembered: %v", err)
	}
}

// verifyProject builds the project twice and compares. release removes what the
// result is made of.
func (f *Factory) verifyProject(ctx context.Context, dir string, project *function.Function, b *buildFlags) (built *builtImage, release func(), err error) {
	spec, err := f.buildSpec(dir, project, b)
	if err != nil {
		return nil, nil, err
	}
	if spec.Dockerfile != nil {
		return nil, nil, fault.Usagef("--verify is for the layers builder").WithHint("build the Dockerfile twice with --no-cache and compare the digests")
	}
	started := f.Sys.Now()
	result, remove, err := build.Verify(ctx, spec)
	if err != nil {
		return nil, nil, err
	}
	f.IO.Step("verified: two builds gave %s (%s)", result.Digest, term.Duration(f.Sys.Now().Sub(started)))
	built = &builtImage{Result: result}
	f.markMade(spec, built)
	built.describedBy(spec)
	return built, func() {
		if err := remove(); err != nil {
			f.IO.Warn("what --verify has left behind: %v", err)
		}
	}, nil
}

// findBuilt looks for an earlier build with the key id. What stands in the
// repository under the key's tag was put there by whoever may push; where trusted
// names keys, one of them has to have signed that it was built from these inputs.
func (f *Factory) findBuilt(ctx context.Context, spec build.Spec, prepared *build.Prepared, id *key.Key, pushTo string, trusted []*sign.PublicKey) *builtImage {
	again := func(ctx context.Context) (*build.Result, error) { return build.Build(ctx, spec) }
	if record, ok := prepared.Recorded(id); ok {
		return &builtImage{Result: record.Result(), unchanged: true, key: id.String(), open: record.Open, again: again}
	}
	if pushTo == "" {
		return nil
	}
	client, err := f.Registry()
	if err != nil {
		return nil
	}
	digest, ok := client.Find(ctx, keyTag(pushTo, id.String()))
	if !ok {
		return nil
	}
	if err := vouchedFor(ctx, client, pushTo, digest, inputsOf(id.String()), trusted); err != nil {
		f.IO.Note("built here: the image that %s has for these inputs is not vouched for: %s", pushTo, err)
		return nil
	}
	return &builtImage{Result: prepared.Foreign(digest), unchanged: true, key: id.String(), again: again}
}

// pushBuilt makes tag mean the image. One that is in the repository already is
// not sent again; one that was built now can be found there by its key from then
// on, with all that goes with it.
func (f *Factory) pushBuilt(ctx context.Context, b *builtImage, tag string, with *attestFlags) (string, error) {
	if b.pushed {
		ref, err := registry.ParseTag(tag)
		return ref.WithDigest(b.Digest.String()), err
	}
	client, err := f.Registry()
	if err != nil {
		return "", err
	}
	signer := with.signer(inputsOf(b.key))
	if b.unchanged && b.Image == nil && b.Index == nil && b.complete(ctx, client, tag) {
		if signer != nil {
			err = client.Sign(ctx, b.Digest, tag, signer)
		}
		moved := false
		if err == nil {
			moved, err = client.Retag(ctx, b.Digest, tag)
		}
		if err == nil {
			if moved {
				f.IO.Step("pushed %s: the image was there already", tag)
			} else {
				f.IO.Step("nothing to push: %s has this image", tag)
			}
			ref, err := registry.ParseTag(tag)
			return ref.WithDigest(b.Digest.String()), err
		}
		if fault.KindOf(err) != fault.NotFound {
			return "", err
		}
	}
	result, err := b.full(ctx)
	if err != nil {
		return "", err
	}
	ref, err := f.pushImage(ctx, result.Artifact(), tag, b.attached(tag, signer))
	if at := keyTag(tag, b.key); err == nil && at != "" {
		// Without it the image is built again elsewhere, and that is all.
		if err := client.Tag(ctx, result.Artifact(), at); err != nil {
			f.IO.Debug("the image cannot be found by its key: %v", err)
		}
	}
	return ref, err
}

// buildSpec is what flags, func.yaml, settings and environment say about a build.
func (f *Factory) buildSpec(dir string, project *function.Function, b *buildFlags) (build.Spec, error) {
	cfg, err := f.Config()
	if err != nil {
		return build.Spec{}, err
	}
	spec := build.Spec{
		Dir:      dir,
		Base:     b.Base,
		Environ:  withoutSecrets(f.Sys.Vars),
		CacheDir: settings.CacheDir(f.Sys.Env),
		Now:      f.Sys.Now,
		Progress: f.IO.Progress(),
		Fresh:    b.NoCache,
		AnyStart: b.AnyStart,
		AnyLock:  b.AnyLock,

		Documents: b.Attest.documents(),
		Signed:    len(b.Attest.trusted) > 0,
		Pull: func(ctx context.Context, ref string, p v1.Platform) (v1.Image, error) {
			client, err := f.Registry()
			if err != nil {
				return nil, err
			}
			return client.Pull(ctx, ref, p)
		},
		Resolve: func(ctx context.Context, ref string) (v1.Hash, error) {
			client, err := f.Registry()
			if err != nil {
				return v1.Hash{}, err
			}
			return client.Resolve(ctx, ref)
		},
	}
	if spec.CacheDir == "" {
		return build.Spec{}, fault.Usagef("there is no place for what builds leave for the next one").WithHint("set HOME, or XDG_CACHE_HOME, to an absolute path")
	}
	spec.Builder = builderID(spec.CacheDir, f.Sys.Now)
	for _, text := range b.Platforms {
		platform, err := build.ParsePlatform(text)
		if err != nil {
			return build.Spec{}, err
		}
		spec.Platforms = append(spec.Platforms, platform)
	}
	if project != nil {
		spec.Language = project.Runtime
		if spec.BuildEnv, err = f.buildVariables(project); err != nil {
			return build.Spec{}, err
		}
	}
	if spec.Dockerfile, err = b.dockerfile(dir, project); err != nil {
		return build.Spec{}, err
	}
	spec.Base, spec.Bases = baseImages(cfg, project, b.Base, spec.Dockerfile != nil)
	repository, err := f.cacheRepository(b)
	if err != nil {
		return build.Spec{}, err
	}
	if repository != "" && spec.Dockerfile != nil {
		client, err := f.Registry()
		if err != nil {
			return build.Spec{}, err
		}
		spec.Steps = registrySteps{client: client, repository: repository, signing: &b.Attest}
	}
	spec.Epoch, err = epoch(f.Sys.Env("SOURCE_DATE_EPOCH"))
	return spec, err
}

// baseImages returns the base that the flag names, and for builds by language what
// variables, func.yaml and the user's file say, in this order. A Dockerfile names
// its base itself; func.yaml's is refused there as the flag's is.
func baseImages(cfg *settings.Settings, project *function.Function, flag string, dockerfile bool) (base string, bases map[string]string) {
	own := ""
	if project != nil {
		own = project.Build.BaseImage
	}
	if dockerfile {
		return cmp.Or(flag, own), nil
	}
	bases = map[string]string{}
	for _, language := range build.Languages() {
		bases[language] = cfg.BaseImage(language, own)
	}
	return flag, bases
}

// buildVariables is func.yaml's build.buildEnvs, as KEY=value.
func (f *Factory) buildVariables(project *function.Function) ([]string, error) {
	var out []string
	for _, env := range project.Build.BuildEnvs {
		value, err := env.Value.Local(func(name string) (string, bool) {
			v := f.Sys.Env(name)
			return v, v != ""
		})
		if err != nil {
			return nil, fault.New(fault.Usage, "build.env", function.File, "build.buildEnvs: %s: %w", env.Name, err)
		}
		out = append(out, env.Name+"="+value.Text)
	}
	return out, nil
}

// builderID tells this kn-lite from all others that might build something else:
// the release, or where sources have been changed, a digest of the program.
func builderID(cacheDir string, now func() time.Time) string {
	toolchain := " (" + runtime.Version() + ")"
	if v := currentVersion().Version; v != "" && v != "(devel)" && !strings.Contains(v, "+dirty") {
		return v + toolchain
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
	// What is not remembered is read again.
	_ = cache.Save()
	return "program " + digest + toolchain
}
