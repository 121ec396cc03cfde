// Package lang is the seam between the image builder and the languages. A
// language turns a project into files for one platform; it knows nothing of
// tars, digests and registries. Each has a package of its own below this one and
// a line in the table of package build.
//
// Language is all that a build needs. Keyed is what makes the second build quick,
// and tells `kn-lite run` what to watch; VariableReader, Lister and Locator are for
// languages that need more than others.
//
// The files of a layer stand below app, dependencies or kn-lite: those folders are
// found again when a project runs as a process. The project's own files are the
// layer "application", which comes last. Programs of this machine are found by
// FindTool and started by Run, with Project.Environ and no other variables.
package lang

import (
	"context"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// Language builds projects of one kind. Implementations hold no state, so one
// value serves concurrent builds.
type Language interface {
	// Name is what func.yaml's runtime and -l call it: go, node.
	Name() string
	// Detect reports whether a folder without a func.yaml looks like one.
	Detect(project fs.FS) bool
	// Plan decides everything that can be decided without running a toolchain:
	// it only reads. The same plan holds for every platform.
	Plan(ctx context.Context, p *Project) (*Plan, error)
	// Layers makes the files of target's image, the rarest changing layer first.
	Layers(ctx context.Context, p *Project, plan *Plan, target Target) ([]Layer, error)
}

// Project is what a language works on.
type Project struct {
	Dir     string       // absolute
	Label   string       // the folder as the user knows it, for messages
	Source  *source.Tree // the folder, with no way out of it
	Environ []string     // for child processes
	// Platforms are those that will be built, at least one when the plan is made.
	Platforms []v1.Platform
	Answers   *Answers // may be nil
	CacheDir  string   // for intermediate results; a language writes below CacheDir/NAME only
	Report    progress.Reporter
}

// FunctionHealth is that path in all languages, as func has it.
const FunctionHealth = "/health/readiness"

// Plan is how a project becomes an image, as data.
type Plan struct {
	Style string // for people: "function with a static Handle", "npm start script"
	Base  Base
	// Of the image's config:
	Entrypoint []string
	Env        []string
	Path       []string // folders in front of the base's PATH
	WorkingDir string

	// Health is a path that what serves a function answers for it as soon as the function
	// has been started; "" for programs that serve themselves.
	Health string

	// Unlocked says what lock the project lacks; nil when its versions are chosen.
	Unlocked *Unlocked

	// Reads are files and folders of the project that the program seems to read, and
	// that are not in its image. Who writes a func.yaml names them there.
	Reads []string

	// Advice is what the user may want to do, in sentences.
	Advice []string

	// Detail is the language's own, handed back to Layers. When it is an io.Closer
	// it is closed at the end of the build.
	Detail any
}

// Unlocked is a project whose build chooses versions itself, so that the next one
// may choose others.
type Unlocked struct {
	Why     string // there is no Cargo.lock
	Command string // writes the lock
}

// Base is what the layers stand on.
type Base struct {
	// BuiltIn means kn-lite's own static base: certificates, a temp folder and a
	// non-root user, and nothing to pull.
	BuiltIn bool
	// Ref is the image to pull when BuiltIn is false and the user named none.
	Ref string
}

// Target is what one image is for.
type Target struct {
	Platform v1.Platform
	// Local means that the files are for a process of this machine and not for an
	// image: there is no base, and the toolchain's own runtime reads them.
	Local      bool
	BaseRef    string     // the base image; "" for the built-in one
	BaseDigest string     // digest of the base image for the platform; "" for the built-in one
	BaseConfig *v1.Config // of that image; nil for the built-in one
}

// Layer is a set of files that change together.
type Layer struct {
	Name string // dependencies, application: for progress and history
	From string // what decides the content, in words; optional, shown by --explain
	// Key identifies the content before it is made, so that a layer of an earlier
	// build is found without running anything; "" when only the content tells.
	Key string
	// Files makes the content. It is not called when Key is known already.
	// cleanup may be nil; it runs when the layer is written or has failed.
	Files func(ctx context.Context) (files []layer.File, cleanup func() error, err error)
}
