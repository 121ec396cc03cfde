package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// An archive that grows by more than this, once it is large, is taken for one that
// is made to fill the disk.
const (
	bombRatio = 200
	bombSize  = 1 << 30
)

// unpacked is an image whose files are on the disk.
type unpacked struct {
	Image pod.Image
	Files string // the name under which they are known there
}

// files are what images consist of, on the disk.
type files interface {
	// unpack unpacks what is not there yet, and returns the name of the whole.
	unpack(ctx context.Context, layers []v1.Layer) (name string, err error)
	has(name string) bool
	// configs is a folder for what else is known of images. It is gone with the files.
	configs() string
	// keep removes those that none of names needs.
	keep(ctx context.Context, names map[string]bool) error
	// purge removes all of them.
	purge(ctx context.Context) error
	close(ctx context.Context) error
}

// images are those that were pulled.
type images struct {
	r       *Runtime
	files   files
	mutex   sync.Mutex
	ready   map[string]*unpacked // by reference with digest
	flights flights              // pulls, by reference
	clients map[string]*registry.Client
	users   map[string]int // containers, by reference

	collecting sync.RWMutex // read by who pulls and starts
}

func openImages(r *Runtime, files files) (*images, error) {
	i := &images{r: r, files: files, ready: map[string]*unpacked{}, clients: map[string]*registry.Client{}, users: map[string]int{}}
	return i, os.MkdirAll(files.configs(), 0o700)
}

func (i *images) close(ctx context.Context) error {
	for _, c := range i.clients {
		c.Close()
	}
	return i.files.close(ctx)
}

func (i *images) forget() {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	clear(i.ready)
}

// Resolve returns ref with the digest that its registry gives it now.
func (r *Runtime) Resolve(ctx context.Context, ref string, secrets [][]byte) (string, error) {
	if parsed, err := registry.Parse(ref); err != nil || parsed.Digest != "" {
		return ref, err
	}
	client, err := r.images.client(secrets)
	if err != nil {
		return "", err
	}
	return client.Digest(ctx, ref)
}

// Pull makes an image ready to run. Of one that is, nothing is asked again.
func (r *Runtime) Pull(ctx context.Context, ref string, secrets [][]byte) (pod.Image, error) {
	ref, err := r.Resolve(ctx, ref, secrets)
	if err != nil {
		return pod.Image{}, err
	}
	if known := r.images.find(ref); known != nil {
		return known.Image, nil
	}
	got, err := r.images.flights.do(ctx, r.life, ref+" "+hash(secrets...), func(ctx context.Context) (any, error) {
		return r.images.pull(ctx, ref, secrets)
	})
	if err != nil {
		return pod.Image{}, err
	}
	return got.(*unpacked).Image, nil //nolint:errcheck // it is what pull returns
}

// Present reports whether the image of a reference with a digest is ready, so that
// no registry is asked for it.
func (r *Runtime) Present(ref string) bool { return r.images.find(ref) != nil }

// client returns a client that has the credentials of pull secrets before all others.
func (i *images) client(secrets [][]byte) (*registry.Client, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	key := hash(secrets...)
	if known := i.clients[key]; known != nil {
		return known, nil
	}
	options := i.r.options.Registry
	options.Auths = slices.Concat(secrets, options.Auths)
	client, err := registry.New(options)
	if err == nil {
		i.clients[key] = client
	}
	return client, err
}

// find returns an image that is ready: from an earlier run of the platform, too.
func (i *images) find(ref string) *unpacked {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if known := i.ready[ref]; known != nil {
		return known
	}
	raw, err := os.ReadFile(i.config(ref))
	if err != nil {
		return nil
	}
	var known unpacked
	if json.Unmarshal(raw, &known) != nil || known.Image.Ref != ref {
		return nil
	}
	if !i.files.has(known.Files) {
		return nil
	}
	i.ready[ref] = &known
	return &known
}

func (i *images) config(ref string) string {
	return filepath.Join(i.files.configs(), hash([]byte(ref)))
}

// pull brings the image here.
func (i *images) pull(ctx context.Context, ref string, secrets [][]byte) (*unpacked, error) {
	i.collecting.RLock()
	defer i.collecting.RUnlock()
	client, err := i.client(secrets)
	if err != nil {
		return nil, err
	}
	image, err := client.Pull(ctx, ref, i.r.platform)
	if errors.Is(err, registry.ErrPlatform) {
		// In the words that are looked for on a cluster.
		return nil, fault.New(fault.NotFound, "local.pull", "", "no match for platform in manifest: %w", err)
	}
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fault.New(fault.Failure, "local.pull", ref, "the image's config is damaged: %w", err)
	}
	u := &unpacked{Image: pod.Image{
		Ref: ref, Entrypoint: config.Config.Entrypoint, Cmd: config.Config.Cmd, Env: config.Config.Env,
		Dir: config.Config.WorkingDir, User: config.Config.User, StopSignal: stopSignal(config.Config.StopSignal),
	}}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	if u.Files, err = i.files.unpack(ctx, layers); err != nil {
		if ctx.Err() == nil && fault.KindOf(err) == fault.Failure {
			err = fault.New(fault.Failure, "local.pull", ref, "%w", err).WithHint("%s", fault.HintOf(err))
		}
		return nil, err
	}
	raw, err := json.Marshal(u)
	if err != nil {
		return nil, err
	}
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.ready[ref] = u
	return u, os.WriteFile(i.config(ref), raw, 0o600)
}

// limited reads so much and no more, and remembers what it ended with.
type limited struct {
	in        io.Reader
	got, left int64
	err       error
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	l.got += int64(n)
	if l.left -= int64(n); l.left < 0 {
		n, err = 0, fmt.Errorf("a layer unpacks to more than %d times its size: it is made to fill the disk", bombRatio)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return n, err
}

func hash(parts ...[]byte) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s,", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// stopSignal reads a STOPSIGNAL; SIGTERM is what is neither known nor a number.
func stopSignal(text string) syscall.Signal {
	var number int
	if n, err := fmt.Sscanf(text, "%d", &number); n == 1 && err == nil && number > 0 && number < 65 {
		return syscall.Signal(number)
	}
	if known, ok := signals()["SIG"+strings.TrimPrefix(strings.ToUpper(text), "SIG")]; ok {
		return known
	}
	return syscall.SIGTERM
}

func signals() map[string]syscall.Signal {
	return map[string]syscall.Signal{
		"SIGHUP": syscall.SIGHUP, "SIGINT": syscall.SIGINT, "SIGQUIT": syscall.SIGQUIT, "SIGKILL": syscall.SIGKILL,
		"SIGUSR1": 10, "SIGUSR2": 12, "SIGWINCH": 28, "SIGTERM": syscall.SIGTERM,
	}
}
