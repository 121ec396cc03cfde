// Package build makes a container image from a folder of code with the host's
// own toolchain and no container engine: plan → layers → image.
//
// The languages stand behind lang.Language; this package knows none of them by
// heart, except for the table in languages.go. What a language hands over is
// files; here they become layers that do not depend on the machine, the folder,
// the time, the umask or the order in which files were made: the same input
// gives the same digest.
//
// Errors are *fault.Error. Code that does not build is Build, with the
// toolchain's own words; a project or flag that makes no sense is Usage.
package build

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/build/startup"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// Puller gives the image that ref means on platform. Only its manifest and
// config are read unless the layers are written to a folder or a file.
type Puller func(ctx context.Context, ref string, platform v1.Platform) (v1.Image, error)

// Resolver tells which image, or index of images, ref means now.
type Resolver func(ctx context.Context, ref string) (v1.Hash, error)

// Spec says what to build. Dir, CacheDir and Environ have no defaults.
type Spec struct {
	Dir       string            // the project's folder
	Language  string            // a name in Languages(); "" looks into the folder
	Platforms []v1.Platform     // default linux/amd64; several make an index
	Base      string            // base image; "" is the language's own
	Bases     map[string]string // settings: language → base image, when Base is ""
	Epoch     time.Time         // every time stamp in the image; the zero value is 1970
	Labels    map[string]string // OCI labels of the image, beside kn-lite's own

	// Dockerfile is for the function Dockerfile, which builds with the folder's
	// Dockerfile instead of a language's toolchain.
	Dockerfile *dockerfile.Options
	Steps      dockerfile.Steps // may be nil
	Signed     bool             // the image will be signed: of Steps and of earlier steps only what is vouched for

	Environ  []string          // this machine's variables, as KEY=value; a build sees those that its language names
	CacheDir string            // layers that were made before
	Now      func() time.Time  // for the age of what is in CacheDir only; nil keeps all
	Pull     Puller            // may be nil when the language has a built-in base
	Progress progress.Reporter // may be nil

	// For the key; without Builder there is none.
	Builder  string        // the release of kn-lite, or a digest of the program where that says too little
	BuildEnv []string      // what func.yaml gives to the build, as KEY=value
	Resolve  Resolver      // may be nil when the base has a digest or is built in
	Answers  *lang.Answers // what tools have said to builds before this one; may be nil
	Fresh    bool          // make every layer, also those that an earlier build has made
	AnyStart bool          // accept an image whose command is not in it
	AnyLock  bool          // accept a project without a lock, in CI too

	// Documents that go with the image. An image that was found by its key has those
	// of the build that made it, so a key tells builds with others apart.
	Documents Documents

	language lang.Language // in place of the one that Language names; for tests
}

// Result is a built image: Image for one platform, Index for several; the other
// one is nil.
type Result struct {
	Language string
	Image    v1.Image
	Index    v1.ImageIndex
	Digest   v1.Hash
	Builds   []PlatformBuild // in the order of Index's manifests

	// Attached goes where the image goes: into a layout. Attest makes it.
	Attached []attest.Artifact
}

// PlatformBuild is the image of one platform.
type PlatformBuild struct {
	Platform v1.Platform
	Image    v1.Image
	Base     string // reference that was pulled; "" is the built-in base
	Layers   []LayerInfo
	Packages []attest.Package // that the language knows of beyond what the layers show

	used map[string]string // images that a Dockerfile was built from: reference → digest
}

// LayerInfo describes a layer that this build contributed.
type LayerInfo struct {
	Name   string // base, dependencies, application
	Digest v1.Hash
	Size   int64 // compressed, in bytes
	Cached bool  // made by an earlier build
}

// Build makes the image. On return nothing but the cache has been written; the
// base's layers are read through Pull when somebody reads them, so ctx has to
// last until the result has been pushed or written.
func Build(ctx context.Context, spec Spec) (*Result, error) {
	p, err := Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Build(ctx)
}

// Prepared is a build that has been planned and not run.
type Prepared struct {
	builder   *builder
	platforms []v1.Platform
}

// withDefaults fills in what may be left out.
func (s Spec) withDefaults() Spec {
	if s.Progress == nil {
		s.Progress = progress.Nop()
	}
	s.Progress = progress.Once(s.Progress)
	if s.Epoch.IsZero() {
		s.Epoch = time.Unix(0, 0)
	}
	return s
}

// Prepare decides all that can be decided without running a toolchain. Close
// ends the use of the project's folder.
func Prepare(ctx context.Context, spec Spec) (*Prepared, error) {
	spec = spec.withDefaults()
	platforms, err := normalise(spec.Platforms)
	if err != nil {
		return nil, err
	}
	language, err := choose(spec)
	if err != nil {
		return nil, err
	}
	store, err := layer.Open(spec.CacheDir, spec.Now)
	if err != nil {
		return nil, err
	}
	spec.listen(ctx, store)
	b := &builder{spec: spec, language: language, store: store}
	if b.project, err = b.open(); err != nil {
		return nil, err
	}
	b.project.Platforms = platforms
	b.chooseEnviron()
	if err := checkRegular(b.project.Source.FS()); err != nil {
		return nil, errors.Join(err, b.project.Source.Close())
	}
	if b.plan, err = language.Plan(ctx, b.project); err != nil {
		return nil, errors.Join(b.describe(err), b.project.Source.Close())
	}
	p := &Prepared{builder: b, platforms: platforms}
	if err := b.checkLock(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Close ends the use of the project's folder. What has been built stays good.
func (p *Prepared) Close() error {
	var err error
	if detail, ok := p.builder.plan.Detail.(io.Closer); ok {
		err = detail.Close()
	}
	return errors.Join(err, p.builder.project.Source.Close())
}

// Build makes the image, as the function Build does.
func (p *Prepared) Build(ctx context.Context) (*Result, error) {
	b := p.builder
	p.NoteWithheld(ctx)
	if len(b.plan.Reads) > 0 {
		b.spec.Progress.Note(lang.KeepAdvice(b.plan.Reads))
	}
	for _, text := range b.plan.Advice {
		b.spec.Progress.Note(text)
	}
	// The context of the group below ends with the group, and the base's layers
	// are read after that.
	b.pull = func(ref string, platform v1.Platform) (v1.Image, error) { return b.spec.Pull(ctx, ref, platform) }
	result := &Result{Language: b.language.Name(), Builds: make([]PlatformBuild, len(p.platforms))}
	group, groupCtx := parallel.WithContext(ctx)
	// Toolchains use all cores by themselves; two at a time hide their waits.
	group.SetLimit(2)
	for i, platform := range p.platforms {
		group.Go(func() error {
			built, err := b.platform(groupCtx, platform)
			if err == nil {
				err = b.spec.checkStart(groupCtx, built, b.store)
			}
			if err != nil {
				return b.describe(err)
			}
			result.Builds[i] = *built
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	b.store.Prune(append(startup.Folders(b.spec.CacheDir), filepath.Join(b.spec.CacheDir, b.language.Name()), b.records(), b.histories(), stamps(b.spec.CacheDir), made(b.spec.CacheDir), inventories(b.spec.CacheDir), unpacked(b.spec.CacheDir), filepath.Join(b.spec.CacheDir, verifyFolder))...)
	return result, result.finish()
}

// Artifact is what a registry is given: Image or Index.
func (r *Result) Artifact() interface {
	MediaType() (types.MediaType, error)
	Digest() (v1.Hash, error)
	RawManifest() ([]byte, error)
} {
	if r.Index != nil {
		return r.Index
	}
	return r.Image
}

// finish derives Image or Index and the digest from Builds.
func (r *Result) finish() (err error) {
	if len(r.Builds) == 1 {
		r.Image = r.Builds[0].Image
		r.Digest, err = r.Image.Digest()
		return err
	}
	if r.Index, err = index(r.Builds); err != nil {
		return err
	}
	r.Digest, err = r.Index.Digest()
	return err
}

// builder is one Build under way.
type builder struct {
	spec     Spec
	language lang.Language
	project  *lang.Project
	plan     *lang.Plan

	variables lang.Variables
	inputsMu  sync.Mutex
	inputs    *lang.Inputs // once they are known
	withheld  []string     // names of the variables that the build does not see

	store    *layer.Store
	resolved v1.Hash // what the base's reference means; empty when nobody has asked
	pull     func(ref string, platform v1.Platform) (v1.Image, error)
}

func (b *builder) open() (*lang.Project, error) {
	tree, err := source.Open(b.spec.Dir)
	if err != nil {
		return nil, err
	}
	return &lang.Project{
		Dir:      tree.Dir(),
		Label:    label(b.spec.Dir, tree.Dir()),
		Source:   tree,
		CacheDir: b.spec.CacheDir,
		Report:   b.spec.Progress,
		Answers:  b.spec.Answers,
	}, nil
}

// label is dir as the user named it; the working folder goes by its name.
func label(named, abs string) string {
	if clean := filepath.Clean(named); clean != "." {
		return clean
	}
	return filepath.Base(abs)
}

// describe turns what a language returned into the project's error type, so
// that none of them has to care.
func (b *builder) describe(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	return &fault.Error{Op: "build." + b.language.Name(), Kind: fault.KindOf(err), Subject: b.spec.Dir, Err: err}
}
