package runtimetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/internal/local/pod"
)

// Fake is a runtime whose containers are goroutines that run Program. Its files
// and its listeners are real.
type Fake struct {
	Dir string // for volumes
	// Image is what Pull returns, for any reference.
	Image pod.Image
	// FailPull, FailSandbox, FailVolume and FailStart are called first, and may wait.
	FailPull    func(ctx context.Context, ref string, secrets [][]byte) error
	FailSandbox func() error
	FailVolume  func(name string) error
	FailStart   func(c pod.Container) error
	// OnStart is called with each container that is started, OnEnd when one has ended.
	OnStart func(c pod.Container)
	OnEnd   func()

	mu      sync.Mutex
	open    int
	running int
	pulled  map[string]bool
	all     []*fakeSandbox
}

// Lose ends all sandboxes, as if their first processes were killed.
func (f *Fake) Lose() {
	f.mu.Lock()
	all := f.all
	f.all = nil
	f.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		processes := slices.Clone(s.processes)
		s.closed = true
		s.mu.Unlock()
		for _, p := range processes {
			_ = p.Signal(syscall.SIGKILL)
			<-p.done
		}
		close(s.gone)
	}
}

// Open is how many sandboxes there are, and how many containers run in them.
func (f *Fake) Open() (sandboxes, running int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open, f.running
}

// Present reports whether the image has been pulled before.
func (f *Fake) Present(ref string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pulled[ref]
}

// Pull implements pod.Runtime.
func (f *Fake) Pull(ctx context.Context, ref string, secrets [][]byte) (pod.Image, error) {
	if f.FailPull != nil {
		if err := f.FailPull(ctx, ref, secrets); err != nil {
			return pod.Image{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pulled == nil {
		f.pulled = map[string]bool{}
	}
	f.pulled[ref] = true
	image := f.Image
	name, digest, _ := strings.Cut(ref, "@")
	image.Ref = name + "@" + cmp.Or(digest, "sha256:"+strings.Repeat("0", 64))
	if image.Entrypoint == nil {
		image.Entrypoint = []string{"/program"}
	}
	return image, nil
}

// Sandbox implements pod.Runtime.
func (f *Fake) Sandbox(ctx context.Context, id, hostname string) (pod.Sandbox, error) {
	if f.FailSandbox != nil {
		if err := f.FailSandbox(); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	dir, err := os.MkdirTemp(f.Dir, "sandbox-")
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	s := &fakeSandbox{fake: f, dir: dir, hostname: hostname, ports: map[int32]net.Addr{}, gone: make(chan struct{})}
	f.all = append(f.all, s)
	return s, nil
}

type fakeSandbox struct {
	fake          *Fake
	dir, hostname string

	mu        sync.Mutex
	closed    bool
	removed   bool
	gone      chan struct{} // closed by Lose
	ports     map[int32]net.Addr
	processes []*fakeProcess
}

func (s *fakeSandbox) Volume(name string) (string, error) {
	if f := s.fake.FailVolume; f != nil {
		if err := f(name); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(s.dir, "volumes", name)
	return dir, errors.Join(os.MkdirAll(dir, 0o777), os.Chmod(dir, 0o777))
}

func (s *fakeSandbox) Done() <-chan struct{} { return s.gone }

func (*fakeSandbox) Own(context.Context, string, int64) error { return nil }

func (*fakeSandbox) Port(want int32) int32 { return want }

func (s *fakeSandbox) Dial(ctx context.Context, port int32) (net.Conn, error) {
	s.mu.Lock()
	address := s.ports[port]
	s.mu.Unlock()
	if address == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address.String())
}

func (s *fakeSandbox) listen(port string) (net.Listener, error) {
	var number int32
	if _, err := fmt.Sscan(port, &number); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ports[number] != nil {
		return nil, fmt.Errorf("listen tcp :%d: %w", number, os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.ports[number] = listener.Addr()
	return &fakeListener{listener, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.ports, number)
	}}, nil
}

// fakeListener frees its port when it is closed.
type fakeListener struct {
	net.Listener
	free func()
}

func (l *fakeListener) Close() error { l.free(); return l.Listener.Close() }

func (s *fakeSandbox) Start(ctx context.Context, c pod.Container) (pod.Process, error) {
	if f := s.fake.FailStart; f != nil {
		if err := f(c); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the sandbox is closed")
	}
	p := &fakeProcess{sandbox: s, container: c, signals: make(chan os.Signal, 4), kill: make(chan struct{}), done: make(chan struct{})}
	s.processes = append(s.processes, p)
	s.fake.mu.Lock()
	s.fake.running++
	s.fake.mu.Unlock()
	if s.fake.OnStart != nil {
		s.fake.OnStart(c)
	}
	go p.run()
	return p, nil
}

func (s *fakeSandbox) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.removed
	s.closed, s.removed = true, true
	processes := slices.Clone(s.processes)
	s.mu.Unlock()
	for _, p := range processes {
		_ = p.Signal(syscall.SIGKILL)
		select {
		case <-p.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if first {
		s.fake.mu.Lock()
		s.fake.open--
		s.fake.mu.Unlock()
	}
	return os.RemoveAll(s.dir)
}

type fakeProcess struct {
	sandbox   *fakeSandbox
	container pod.Container
	signals   chan os.Signal
	once      sync.Once
	kill      chan struct{}
	done      chan struct{}
	code      int
}

func (p *fakeProcess) system(args []string, out, err io.Writer) System {
	return System{
		Args: args, Env: p.container.Env, Dir: p.container.Dir, Stdout: out, Stderr: err,
		Signals: p.signals, Kill: p.kill, Listen: p.sandbox.listen,
		Read:  func(path string) ([]byte, error) { return os.ReadFile(p.host(path)) },
		Write: func(path string, text []byte) error { return os.WriteFile(p.host(path), text, 0o600) },
	}
}

func (p *fakeProcess) run() {
	p.code = Program(p.system(p.container.Args, p.container.Stdout, p.container.Stderr))
	p.sandbox.fake.mu.Lock()
	p.sandbox.fake.running--
	if p.sandbox.fake.OnEnd != nil {
		p.sandbox.fake.OnEnd()
	}
	p.sandbox.fake.mu.Unlock()
	close(p.done)
}

// host is where a path of the container is: in the volume that is mounted nearest.
func (p *fakeProcess) host(path string) string {
	best, at := -1, ""
	for _, m := range p.container.Mounts {
		rest, ok := strings.CutPrefix(path, m.Target)
		if ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(m.Target, "/")) && len(m.Target) > best {
			best, at = len(m.Target), filepath.Join(m.Source, m.SubPath, rest)
		}
	}
	if best < 0 {
		return filepath.Join(p.sandbox.dir, "root-of-"+p.container.Name, path)
	}
	return at
}

func (p *fakeProcess) Done() <-chan struct{} { return p.done }

func (p *fakeProcess) Exit() (code int, outOfMemory bool) {
	if p.code == OutOfMemory {
		return 128 + int(syscall.SIGKILL), true
	}
	return p.code, false
}

// OutOfMemory is an exit code by which a Fake's container says that it was killed
// for want of memory.
const OutOfMemory = 237

func (p *fakeProcess) Signal(signal syscall.Signal) error {
	if signal == syscall.SIGKILL {
		p.once.Do(func() { close(p.kill) })
		return nil
	}
	select {
	case p.signals <- signal:
	default:
	}
	return nil
}

func (p *fakeProcess) Exec(ctx context.Context, args []string, out io.Writer) (int, error) {
	if out == nil {
		out = io.Discard
	}
	result := make(chan int, 1)
	go func() { result <- Program(p.system(args, out, out)) }()
	select {
	case code := <-result:
		return code, nil
	case <-ctx.Done():
		return -1, ctx.Err()
	case <-time.After(time.Minute):
		return -1, errors.New("takes too long")
	}
}

// Container is what a Fake is given to start.
type Container = pod.Container
