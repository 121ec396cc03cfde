// Package dockerfile builds an image from a Dockerfile with no container engine:
// buildkit's parser reads it, each instruction that changes files runs in a
// sandbox, and what it has changed becomes a layer. A step whose input is known
// from before is not run at all, and a build with nothing new starts no sandbox.
//
// What it does not support is refused by name, before anything is run; nothing
// is ignored. See docs/guide/dockerfile.md.
//
// Errors are *fault.Error whose subject is FILE:LINE.
package dockerfile

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/snapshot"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// DefaultFile is the name of a Dockerfile.
const DefaultFile = "Dockerfile"

// Options are what a user may ask of a Dockerfile build.
type Options struct {
	File    string            // default: Dockerfile in the context
	Target  string            // stage to build; default: the last one
	Args    map[string]string // values of ARG
	Secrets map[string][]byte // id → content, for RUN --mount=type=secret
	NoCache bool              // run every step, whatever is known from before
	Offline bool              // RUN has no network
}

// Spec says what to build.
type Spec struct {
	Options
	Dir      string // the context
	Platform v1.Platform
	Epoch    time.Time // the latest time stamp in the image
	Labels   map[string]string
	CacheDir string
	TempDir  string // $TMPDIR, for the files of root's builds
	Path     string // $PATH, for newuidmap
	Store    *layer.Store
	Steps    Steps            // nil: what is built here is for this machine only
	Signed   bool             // the image will be signed: steps of builds that were not are not used
	Now      func() time.Time // for the age of snapshots; nil keeps all
	Boot     string           // names this boot of the machine; "" keeps no snapshots
	Sums     source.Sums      // of files of the context; nil reads them all
	Report   progress.Reporter
	Pull     Pull
	// HostFile reads a file of the host that the network needs: resolv.conf and hosts.
	HostFile func(name string) ([]byte, error)

	maxLayers int // that an overlay has below the top; 0 is the kernel's limit
}

// Image is what was built.
type Image struct {
	Image      v1.Image
	Base       string // reference of the last stage's base; "" for scratch
	BaseDigest string
	Layers     []Layer
	Used       map[string]string // every image that the build was made from: reference → digest
}

// Layer is a layer that this Dockerfile has contributed.
type Layer struct {
	Name   string // the instruction
	Layer  *layer.Layer
	Cached bool
}

// builder is one Build under way.
type builder struct {
	Spec
	file      string // as messages name it
	plan      *plan
	tree      *source.Tree
	context   *buildContext
	box       *sandbox.Box
	highestID int64  // in the sandbox; 0 is unknown
	expect    bool   // owners will be lost, as far as can be said without a sandbox
	degraded  bool   // owners are lost here: what is built is no good for others
	shared    *root  // the context, for RUN --mount=type=bind
	nothing   string // an empty folder
	stages    map[int]*stage
	steps     map[string]*step  // by key: what several stages do alike is done once
	images    map[string]*stage // COPY --from=IMAGE
	needed    []*stage          // what the instruction that is being read copies from
	running   bool              // all is read
	keeping   errgroup.Group    // layers on their way to Steps

	snapshots *snapshot.Store // nil where the machine does not stack folders
	scheduler *scheduler
	opening   sync.Mutex               // of the box
	sharing   sync.Mutex               // of shared
	caches    sync.Map                 // locks of cache mounts, by id
	mutex     sync.Mutex               // of bases
	bases     map[string]*unpackedBase // by digest
}

// Build builds the image. Nothing but the cache is left on disk.
func Build(ctx context.Context, spec Spec) (_ *Image, err error) {
	b := &builder{Spec: spec, stages: map[int]*stage{}, steps: map[string]*step{}, images: map[string]*stage{}, bases: map[string]*unpackedBase{}, scheduler: newScheduler(runtime.NumCPU())}
	b.keeping.SetLimit(uploads)
	defer func() { b.kept(ctx); b.scheduler.close() }() // of a build that failed too: its steps are good
	b.expect = sandbox.Expect(spec.Path) == sandbox.Single
	b.degraded = b.expect
	b.highestID = sandbox.HighestID(spec.Path)
	if b.tree, err = source.Open(spec.Dir); err != nil {
		return nil, err
	}
	b.tree.AnyLinks = true // COPY of a folder copies the links in it as they are
	defer b.tree.Close()
	b.tree.Remember(spec.Sums)
	raw, err := b.readFile()
	if err != nil {
		return nil, err
	}
	if b.plan, err = b.parse(raw); err != nil {
		return nil, err
	}
	if err := b.plan.lint.show(b.Report); err != nil {
		return nil, err
	}
	if err = b.openContext(); err != nil {
		return nil, err
	}
	defer func() {
		if b.box != nil {
			// A build that was interrupted still has to clean up.
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, b.close(clean))
		}
	}()
	var final *stage
	err = b.scheduler.run(ctx, func(ctx context.Context) (err error) {
		if final, err = b.stage(ctx, b.plan.target); err != nil {
			return err
		}
		b.running = true
		return b.make(ctx, final)
	})
	if err != nil {
		return nil, err
	}
	if err := b.plan.lint.show(b.Report); err != nil {
		return nil, err
	}
	b.plan.warnUnused(b.Args, b.Report)
	return b.assemble(final)
}
