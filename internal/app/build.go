package app

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/settings"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// BuildOptions say how an image is made.
type BuildOptions struct {
	Builder    string   // "" is the settings'; auto chooses by what is in the folder
	Platforms  []string // OS/ARCH; none is linux/amd64, several make an index
	BaseImage  string   // "" is func.yaml's, the settings', the language's own
	NoCache    bool     // build even when nothing has changed
	Dockerfile builder.DockerfileOptions
	Pod        builder.PodOptions

	AllowMissingCommand bool // accept an image that does not hold the command that starts it
	AllowMissingLock    bool // accept a project without a lock file, in CI too

	NoSBOM       bool
	NoProvenance bool
	SignKey      string            // file with the private key for what is pushed; "" is the settings'
	Trusted      []*sign.PublicKey // whose images of the same inputs are taken beside one's own; none, and no key: everybody's
}

// BuildRequest says what to build and what happens with the image. One that is
// neither pushed, written nor discarded is left in the project's folder for Push.
type BuildRequest struct {
	BuildOptions
	Dir       string             // "" is the working folder
	Project   *function.Function // Dir's func.yaml, if it has been loaded already
	Namespace string             // of the function; "" is func.yaml's or the settings'
	Image     string             // REGISTRY/NAME[:TAG]; "" is as ImageTag says
	Push      bool
	Discard   bool     // only the digest is wanted
	Outputs   []Output // where the image is written
}

// Output is a place for an image.
type Output struct {
	Format OutputFormat
	Path   string
}

// OutputFormat is what an image is written as.
type OutputFormat string

// The formats of an Output.
const (
	OCILayout OutputFormat = "oci" // a folder
	Tarball   OutputFormat = "tar" // a file, as docker save writes it
)

// String returns what users name the place by.
func (o Output) String() string { return string(o.Format) + ":" + o.Path }

// BuildResult is an image.
type BuildResult struct {
	Image     string // REGISTRY/NAME@sha256:…
	Tag       string // REGISTRY/NAME:TAG
	Digest    string
	Language  string
	Pushed    bool
	Unchanged bool // an earlier build made it; nothing was built now
	Unnamed   bool // nothing says which registry it is for: Tag has none
	Platforms []build.PlatformBuild
}

// Build makes the image of a project.
func (a *App) Build(ctx context.Context, r BuildRequest) (*BuildResult, error) {
	return a.make(ctx, r, func(b builder.Builder, request builder.Request) (*builder.Result, error) {
		return b.Build(ctx, request)
	})
}

// Verify is Build, done twice under different circumstances: images that differ are
// an error of kind Build that names the first difference. The second build is another
// process of this program, whose main has to call build.Again.
func (a *App) Verify(ctx context.Context, r BuildRequest) (*BuildResult, error) {
	return a.make(ctx, r, func(b builder.Builder, request builder.Request) (*builder.Result, error) {
		verifier, ok := b.(builder.Verifier)
		if !ok {
			return nil, fault.New(fault.Usage, "app.verify", "", "the builder %q cannot verify its builds", b.Name()).
				WithHint("build twice without a cache and compare the digests")
		}
		return verifier.Verify(ctx, request)
	})
}

// Explain returns what Build would do and what has changed since the last build of
// the folder. It does nothing.
func (a *App) Explain(ctx context.Context, r BuildRequest) (*build.Explanation, error) {
	b, request, err := a.chooseBuilder(&r)
	if err != nil {
		return nil, err
	}
	explainer, ok := b.(builder.Explainer)
	if !ok {
		return nil, fault.New(fault.Usage, "app.explain", "", "the builder %q cannot explain what it would do", b.Name())
	}
	return explainer.Explain(ctx, request)
}

// make is Build and Verify. All that can be wrong with the request is found before
// the work.
func (a *App) make(ctx context.Context, r BuildRequest, run func(builder.Builder, builder.Request) (*builder.Result, error)) (out *BuildResult, err error) {
	b, request, err := a.chooseBuilder(&r)
	if err != nil {
		return nil, err
	}
	name, err := a.imageName(&r)
	if err != nil {
		return nil, err
	}
	keys := &signing{}
	switch {
	case r.Push:
		if keys, err = a.openSigning(ctx, r.SignKey); err != nil {
			return nil, err
		}
		keys.trusted = append(keys.trusted, r.Trusted...)
	case r.SignKey != "" && !r.Discard:
		return nil, fault.New(fault.Usage, "app.sign", "", "a key signs what is pushed, and nothing is pushed here")
	}
	request.Signing = keys
	save := !r.Push && !r.Discard && len(r.Outputs) == 0
	if r.Push && len(r.Outputs) == 0 {
		request.Tag = name.tag
	}
	if _, pushes := b.(builder.Pusher); pushes && request.Tag == "" {
		return nil, fault.New(fault.Usage, "app.push", "", "the builder %q pushes the image that it builds, and nothing is to be pushed here", b.Name())
	}
	if save {
		if err := build.CheckState(r.Dir); err != nil {
			return nil, err
		}
	}
	built, err := run(b, request)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := built.Close(); err != nil {
			a.report().Warn("what the build has left behind: " + err.Error())
		}
	}()
	a.recordMade(request, built)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out = &BuildResult{
		Image: name.repository + "@" + built.Digest.String(), Tag: name.tag, Digest: built.Digest.String(),
		Language: built.Language, Pushed: r.Push, Unchanged: built.Unchanged, Unnamed: name.local, Platforms: built.Builds,
	}
	for _, place := range r.Outputs {
		if err := a.write(ctx, built, place, name.tag); err != nil {
			return nil, err
		}
	}
	switch {
	case r.Push:
		if out.Image, err = a.pushBuilt(ctx, built, name.tag, keys); err != nil {
			return nil, err
		}
	case save && name.local:
		err = built.Save(ctx, r.Dir, name.tag, "")
	case save:
		err = built.Save(ctx, r.Dir, name.tag, name.tag)
	}
	return out, err
}

// chooseBuilder completes r and translates it.
func (a *App) chooseBuilder(r *BuildRequest) (builder.Builder, builder.Request, error) {
	r.Dir = cmp.Or(r.Dir, ".")
	if r.Project == nil {
		var err error
		if r.Project, err = a.optionalProject(r.Dir); err != nil {
			return nil, builder.Request{}, err
		}
	}
	request, err := a.builderRequest(r)
	if err != nil {
		return nil, request, err
	}
	name, err := a.builderName(r)
	if err != nil {
		return nil, request, err
	}
	b, err := a.Builders().Choose(name, request)
	if err != nil && r.Builder == "" {
		err = fault.New(fault.KindOf(err), "app.builder", "the setting builder", "%w", err).
			WithHint("%s; `kn-lite config explain builder` says where it is from", fault.HintOf(err))
	}
	if err != nil {
		return nil, request, err
	}
	if err := b.Check(request); err != nil {
		return nil, request, err
	}
	// Only now: what the settings say is no reason to refuse a builder.
	return b, request, a.applySettings(&request)
}

// builderName returns the builder that was named, else that of the environment,
// func.yaml or the user's file; "" chooses by what is in the folder. What func.yaml
// names for func, such as pack, counts only where there is such a builder.
func (a *App) builderName(r *BuildRequest) (string, error) {
	if r.Builder != "" {
		return r.Builder, nil
	}
	cfg, err := a.Settings()
	if err != nil {
		return "", err
	}
	own := ""
	if r.Project != nil && r.Project.Build.Builder != "" && slices.Contains(a.Builders().Names(), r.Project.Build.Builder) {
		own = r.Project.Build.Builder
	}
	return cfg.BuilderOver(own), nil
}

// builderRequest is what r, func.yaml and the environment say about a build.
func (a *App) builderRequest(r *BuildRequest) (builder.Request, error) {
	request := builder.Request{
		Dir: r.Dir, Project: r.Project, BaseImage: r.BaseImage, NoCache: r.NoCache,
		AllowMissingCommand: r.AllowMissingCommand, AllowMissingLock: r.AllowMissingLock,
		Dockerfile: r.Dockerfile, Pod: r.Pod,
		Environ: WithoutSecrets(a.Vars), CacheDir: settings.CacheDir(a.Env),
		Documents: build.Documents{SBOM: !r.NoSBOM, Provenance: !r.NoProvenance},
		Progress:  a.report(),
	}
	var err error
	if request.Namespace, err = a.Namespace(r.Namespace, r.Project); err != nil {
		return request, err
	}
	for _, text := range r.Platforms {
		platform, err := build.ParsePlatform(text)
		if err != nil {
			return request, err
		}
		request.Platforms = append(request.Platforms, platform)
	}
	if r.Project != nil {
		if request.BuildEnv, err = a.buildVariables(r.Project); err != nil {
			return request, err
		}
	}
	request.Epoch, err = epoch(a.Env("SOURCE_DATE_EPOCH"))
	return request, err
}

// applySettings fills in what the user's settings say where the request says nothing.
func (a *App) applySettings(r *builder.Request) error {
	cfg, err := a.Settings()
	if err != nil {
		return err
	}
	own := ""
	if r.Project != nil {
		own = r.Project.Build.BaseImage
	}
	r.BaseImages = map[string]string{}
	for _, language := range build.Languages() {
		r.BaseImages[language] = cfg.BaseImage(language, own)
	}
	r.Pod.Images = map[string]string{builder.Cluster: cfg.BuilderImage, builder.Kaniko: cfg.KanikoImage}
	if repository := cmp.Or(r.Dockerfile.Repository, cfg.CacheRepository); repository != "" {
		// A tag has no meaning there.
		ref, err := registry.ParseTag(repository)
		if err != nil {
			return err
		}
		r.Dockerfile.Repository = ref.Name()
	}
	return nil
}

// buildVariables returns func.yaml's build.buildEnvs, as KEY=value.
func (a *App) buildVariables(project *function.Function) ([]string, error) {
	var out []string
	for _, env := range project.Build.BuildEnvs {
		value, err := env.Value.Local(func(name string) (string, bool) {
			v := a.Env(name)
			return v, v != ""
		})
		if err != nil {
			return nil, fault.New(fault.Usage, "build.env", function.File, "build.buildEnvs: %s: %w", env.Name, err)
		}
		out = append(out, env.Name+"="+value.Text)
	}
	return out, nil
}

// epoch reads SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/).
func epoch(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fault.Usagef("SOURCE_DATE_EPOCH=%q is not a number of seconds since 1970", text)
	}
	return time.Unix(seconds, 0), nil
}
