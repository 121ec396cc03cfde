package runtime

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// group implements pod.Sandbox in namespaces of its own.
type group struct {
	r         *Runtime
	pod       *connected
	hostname  string
	namespace string

	mutex sync.Mutex
	dir   string // volumes and files of containers; "" once it is closed
	count int
}

// Sandbox makes the namespaces of a pod.
func (r *Runtime) Sandbox(ctx context.Context, id, hostname string) (pod.Sandbox, error) {
	if r.plain != nil {
		return r.plain.sandbox()
	}
	p, err := r.spares.take(ctx, hostname)
	if err != nil {
		return nil, err
	}
	dir, err := r.box.Root()
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	namespace, _, _ := strings.Cut(id, "/")
	return &group{r: r, pod: p, hostname: hostname, namespace: namespace, dir: dir}, nil
}

// Port is the one that is wanted: each pod has all of them.
func (*group) Port(want int32) int32 { return want }

// Dial connects to a port of the pod.
func (g *group) Dial(ctx context.Context, port int32) (net.Conn, error) {
	return g.pod.Dial(ctx, int(port))
}

// Done is closed when nothing of the pod runs any longer, whoever has ended it.
func (g *group) Done() <-chan struct{} { return g.pod.Done() }

// Close ends the pod and removes its files.
func (g *group) Close(ctx context.Context) error {
	err := g.pod.Close()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.dir == "" {
		return err
	}
	if removeErr := g.r.box.Remove(ctx, g.dir); removeErr != nil {
		return errors.Join(err, removeErr)
	}
	g.dir = ""
	return err
}

// next makes a folder of the pod's own.
func (g *group) next(kind string) (string, error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.dir == "" {
		return "", podClosed(g.hostname)
	}
	g.count++
	dir := filepath.Join(g.dir, kind+"-"+strconv.Itoa(g.count))
	return dir, g.r.box.Folder(dir)
}

// Volume makes a folder that containers may write to.
func (g *group) Volume(string) (string, error) {
	dir, err := g.next("volume")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o777)
}

// Start starts a container on its image.
func (g *group) Start(ctx context.Context, c pod.Container) (pod.Process, error) {
	if len(c.Args) == 0 {
		return nil, noCommand(c)
	}
	if _, limited := c.Limits[corev1.ResourceCPU]; limited {
		g.r.warn("limits of cpu have no effect here: an instance may take what this machine has")
	}
	return g.r.images.run(c, func(image *unpacked) (*sandbox.Process, error) { return g.startOn(ctx, image, c) })
}

func (g *group) startOn(ctx context.Context, image *unpacked, c pod.Container) (*sandbox.Process, error) {
	start := command(c, g.hostname)
	mounts, err := g.mounts(c)
	if err != nil {
		return nil, err
	}
	start.Command.Mounts = mounts
	start.Outside, start.Trouble = g.pod.outside, g.r.warn
	dir, err := g.next("container")
	if err != nil {
		return nil, err
	}
	if err := g.files(ctx, image, dir, &start); err != nil {
		return nil, errors.Join(err, g.r.box.Remove(context.WithoutCancel(ctx), dir))
	}
	p, err := g.pod.Start(ctx, start)
	if err != nil {
		return nil, errors.Join(err, g.r.box.Remove(context.WithoutCancel(ctx), dir))
	}
	return p, nil
}

// files gives a container its root file system: a folder on top of the image's, or
// a copy of them where the machine has no overlays.
func (g *group) files(ctx context.Context, image *unpacked, dir string, start *sandbox.Start) error {
	box := g.r.box
	under, ok := g.r.layers.under(image.Files)
	if !ok {
		return fault.New(fault.NotFound, "local.start", image.Image.Ref, "the image's files were removed")
	}
	if box.Overlays() {
		overlay := &sandbox.Overlay{Lower: under, Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "kernel"), Fresh: true}
		start.Overlay = overlay
		return errors.Join(box.Folder(overlay.Upper), box.Folder(overlay.Work))
	}
	start.Root = filepath.Join(dir, "root")
	if err := box.Folder(start.Root); err != nil {
		return err
	}
	identity, _ := box.Identity()
	loose := identity == sandbox.Single
	for _, from := range under {
		reader, writer, err := sandbox.Pipe()
		if err != nil {
			return err
		}
		taken := make(chan error, 1)
		go func() {
			err := box.Call(ctx, sandbox.Call{
				Root: from, Guest: rootfs.GuestTake, Out: writer,
				Args: rootfs.TakeArgs{Sources: []rootfs.Source{{Path: "/", Dir: true}}, SingleUser: loose},
			})
			taken <- errors.Join(err, writer.Close())
		}()
		err = box.Call(ctx, sandbox.Call{
			Root: start.Root, Guest: rootfs.GuestUnpack, In: reader,
			Args: rootfs.UnpackArgs{Dest: "/", SingleUser: loose, Limit: 1 << 62},
		})
		if err := errors.Join(err, reader.Close(), <-taken); err != nil {
			return err
		}
	}
	return nil
}

// command is what a container is for the sandbox, but for its files.
func command(c pod.Container, hostname string) sandbox.Start {
	start := sandbox.Start{
		Command:  sandbox.Command{Args: c.Args, Env: c.Env[:len(c.Env):len(c.Env)], Dir: cmp.Or(c.Dir, "/"), User: c.User},
		ReadOnly: c.ReadOnly, NoNewPrivilege: c.NoNewPrivilege, Out: c.Stdout, Err: c.Stderr,
		Memory: c.Limits.Memory().Value(),
	}
	for _, gid := range c.Groups {
		start.Groups = append(start.Groups, uint32(gid))
	}
	// As every runtime of containers does.
	for name, value := range map[string]string{"PATH": defaultPath, "HOSTNAME": hostname} {
		if !has(start.Command.Env, name) {
			start.Command.Env = append(start.Command.Env, name+"="+value)
		}
	}
	return start
}

func notPulled(c pod.Container) error {
	return fault.New(fault.NotFound, "local.start", c.Image.Ref, "the image was not pulled, or was removed since")
}

func noCommand(c pod.Container) error {
	return fault.New(fault.Build, "local.start", c.Name, "no command specified: the image has neither ENTRYPOINT nor CMD")
}

func podClosed(name string) error {
	return fault.New(fault.Conflict, "local.sandbox", name, "the pod was closed")
}

func has(env []string, name string) bool {
	for _, kv := range env {
		if strings.HasPrefix(kv, name+"=") {
			return true
		}
	}
	return false
}

// process implements pod.Process.
type process struct{ of *sandbox.Process }

func (p *process) Done() <-chan struct{} { return p.of.Done() }

func (p *process) Exit() (code int, outOfMemory bool) {
	exit := p.of.Exit()
	return exit.Code, exit.Memory
}

func (p *process) Signal(signal syscall.Signal) error { return p.of.Signal(signal) }

func (p *process) Exec(ctx context.Context, args []string, out io.Writer) (int, error) {
	return p.of.Exec(ctx, args, out)
}
