package runtime

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// plainFiles are images for machines without namespaces: a folder each, whose files
// are this user's, and which all containers of the image share.
type plainFiles struct {
	r       *Runtime
	dir     string
	flights flights
}

func (r *Runtime) openPlain() (err error) {
	r.plain = &plainFiles{r: r, dir: filepath.Join(r.options.Dir, "plain")}
	if err := os.MkdirAll(r.plain.dir, 0o755); err != nil {
		return err
	}
	r.images, err = openImages(r, r.plain)
	return err
}

func (p *plainFiles) configs() string { return filepath.Join(p.dir, "configs") }

func (p *plainFiles) root(name string) string { return filepath.Join(p.dir, "images", name) }

func (p *plainFiles) has(name string) bool {
	info, err := os.Stat(p.root(name))
	return err == nil && info.IsDir()
}

func (p *plainFiles) close(context.Context) error { return nil }

func (p *plainFiles) keep(_ context.Context, names map[string]bool) error {
	entries, err := os.ReadDir(filepath.Dir(p.root("any")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !names[e.Name()] && !strings.HasPrefix(e.Name(), ".") {
			err = errors.Join(err, os.RemoveAll(p.root(e.Name())))
		}
	}
	return err
}

func (p *plainFiles) purge(context.Context) error { return os.RemoveAll(p.dir) }

// unpack unpacks the layers on top of each other.
func (p *plainFiles) unpack(ctx context.Context, layers []v1.Layer) (string, error) {
	name := hash([]byte("nothing"))
	for _, l := range layers {
		diffID, err := l.DiffID()
		if err != nil {
			return "", err
		}
		name = hash([]byte(name), []byte(diffID.String()))
	}
	_, err := p.flights.do(ctx, p.r.life, name, func(ctx context.Context) (any, error) {
		if p.has(name) {
			return nil, nil
		}
		return nil, p.unpackTo(ctx, layers, p.root(name))
	})
	return name, err
}

func (p *plainFiles) unpackTo(ctx context.Context, layers []v1.Layer, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(to), ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // it has another name by then
	root, err := os.OpenRoot(temp)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, l := range layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := extractLayer(ctx, root, l); err != nil {
			return err
		}
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	return os.Rename(temp, to)
}

// plainGroup implements pod.Sandbox with processes of this machine.
type plainGroup struct {
	p       *plainFiles
	dir     string
	mutex   sync.Mutex
	ports   map[int32]int32
	running []*sandbox.Process
	closed  bool
}

func (p *plainFiles) sandbox() (pod.Sandbox, error) {
	dir, err := os.MkdirTemp(p.dir, "pod-")
	return &plainGroup{p: p, dir: dir, ports: map[int32]int32{}}, err
}

// Volume makes a folder, which no container can have: see Start.
func (g *plainGroup) Volume(string) (string, error) { return os.MkdirTemp(g.dir, "volume-") }

// Own does nothing: files are this user's.
func (*plainGroup) Own(context.Context, string, int64) error { return nil }

// Port is a free port of this machine for each that is wanted.
func (g *plainGroup) Port(want int32) int32 {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if port, ok := g.ports[want]; ok {
		return port
	}
	port := want
	var config net.ListenConfig
	if listener, err := config.Listen(g.p.r.life, "tcp", "127.0.0.1:0"); err == nil {
		if address, ok := listener.Addr().(*net.TCPAddr); ok {
			port = int32(address.Port)
		}
		_ = listener.Close()
	}
	g.ports[want] = port
	return port
}

// Dial connects to the port that stands for this one.
func (g *plainGroup) Dial(ctx context.Context, port int32) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(g.Port(port)))))
}

// Start starts a program of the image.
func (g *plainGroup) Start(ctx context.Context, c pod.Container) (pod.Process, error) {
	if len(c.Args) == 0 {
		return nil, noCommand(c)
	}
	return g.p.r.images.run(c, func(image *unpacked) (*sandbox.Process, error) { return g.startOn(ctx, image, c) })
}

func (g *plainGroup) startOn(ctx context.Context, image *unpacked, c pod.Container) (*sandbox.Process, error) {
	for _, m := range c.Mounts {
		// What describes the end of a container is good to have; volumes are needed.
		if m.Target != "/dev/termination-log" {
			return nil, fault.New(fault.Build, "local.start", c.Name, "%s: volumes need namespaces, which this machine does not permit", m.Target)
		}
	}
	start := command(c, "localhost")
	start.Root = g.p.root(image.Files)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.closed {
		return nil, podClosed(c.Name)
	}
	p, err := sandbox.StartPlain(ctx, start)
	if err != nil {
		return nil, err
	}
	g.running = append(g.running, p)
	return p, nil
}

// Close ends what runs.
func (g *plainGroup) Close(ctx context.Context) error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.closed = true
	for _, p := range g.running {
		select {
		case <-p.Done():
			continue
		default:
		}
		_ = p.Signal(9) // it may have ended meanwhile
		select {
		case <-p.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	g.running = nil
	return errors.Join(os.RemoveAll(g.dir))
}
