// Package runtime runs the containers of pods from their images, in the sandbox.
//
// Layers are unpacked once each and shared: a container has a folder of its own on
// top of them. What is unpacked outlasts the process, up to the next boot of the
// machine; containers do not outlast it, however it ends.
package runtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// Options say where a Runtime keeps its files and how it reaches registries.
type Options struct {
	Dir  string // the cache folder: sandboxes are below it
	Temp string // where root wants the files of containers; "" is below Dir
	Path string // $PATH, for newuidmap

	// Registry is how registries are reached, the platform's own among them, and
	// where credentials are that every pod may use.
	Registry registry.Options

	Network Network

	Warn func(string) // hears what is not as on a cluster, once each
	Now  func() time.Time

	noNamespaces bool // as where they are not permitted
	noSpares     bool // no pod will be wanted
}

// firstBox is where boxes of platforms begin: builds take lower ones, so that a
// platform finds its images again.
const firstBox = 600

// Runtime implements pod.Runtime.
type Runtime struct {
	options  Options
	platform v1.Platform
	images   *images

	// Where there are namespaces:
	box    *sandbox.Box
	layers *layered
	spares *spares

	plain *plainFiles // where there are none
	said  sync.Map
	life  context.Context // ends with Close
	end   context.CancelFunc
}

var _ pod.Runtime = (*Runtime)(nil)

// New opens the runtime, and removes what a killed one has left.
func New(ctx context.Context, options Options) (*Runtime, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Warn == nil {
		options.Warn = func(string) {}
	}
	r := &Runtime{options: options, platform: v1.Platform{OS: "linux", Architecture: goruntime.GOARCH}}
	if goruntime.GOOS != "linux" {
		return nil, fault.New(fault.Conflict, "local.runtime", "", "the embedded platform runs containers on Linux only, and this is %s", goruntime.GOOS).
			WithHint("use a cluster: {Context} NAME\nor run a function as a process of this machine: kn-lite run\nor start the platform in a Linux virtual machine")
	}
	r.life, r.end = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if options.noNamespaces {
		err = fault.New(fault.Conflict, "local.runtime", "", "they are not wanted")
	} else {
		err = r.openBox(ctx)
	}
	if fault.KindOf(err) == fault.Conflict {
		r.warn("no namespaces here, so functions are plain processes of this machine, with a PORT of their own: " + err.Error())
		err = r.openPlain()
	}
	if err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}

// openBox opens what keeps containers apart.
func (r *Runtime) openBox(ctx context.Context) (err error) {
	if r.box, err = sandbox.Open(ctx, sandbox.Options{Dir: r.options.Dir, Temp: r.options.Temp, Path: r.options.Path, First: firstBox}); err != nil {
		return err
	}
	if identity, why := r.box.Identity(); identity == sandbox.Single {
		r.warn("containers have one user only: what they do about other users and owners has no effect (" + why + ")")
	}
	if r.layers, err = openLayered(ctx, r); err == nil {
		r.images, err = openImages(r, r.layers)
	}
	if err != nil {
		return errors.Join(err, r.box.Close(ctx))
	}
	r.spares = &spares{r: r}
	if !r.options.noSpares {
		r.spares.make(0)
	}
	return nil
}

// Isolated reports whether containers are apart from this machine, and not plain
// processes of it.
func (r *Runtime) Isolated() bool { return r.plain == nil }

// Close removes what containers have left. No pod may be open.
func (r *Runtime) Close(ctx context.Context) error {
	r.end()
	if r.box == nil {
		return r.images.close(ctx)
	}
	return errors.Join(r.spares.close(), r.images.close(ctx), r.box.Close(ctx))
}

// Purge removes everything that was unpacked.
func (r *Runtime) Purge(ctx context.Context) error {
	r.images.forget()
	return r.images.files.purge(ctx)
}

// Purge removes everything that an earlier Runtime with the same options has unpacked.
// That one must be closed.
func Purge(ctx context.Context, options Options) error {
	options.noSpares = true
	r, err := New(ctx, options)
	if err != nil {
		return err
	}
	return errors.Join(r.Purge(ctx), r.Close(ctx))
}

// warn says something once.
func (r *Runtime) warn(text string) {
	if _, said := r.said.LoadOrStore(text, true); !said {
		r.options.Warn(text)
	}
}

// bootID names the boot of the machine: what was unpacked before may not be whole.
func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if id := strings.TrimSpace(string(raw)); err == nil && id != "" && filepath.Base(id) == id {
		return id
	}
	return "boot"
}
