package devrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

const (
	// imagePort is where a program in an image listens when it is told nothing else.
	imagePort = "8080"
	// probeEvery is how often a program that starts is asked whether it listens.
	probeEvery = 5 * time.Millisecond
	// probeAtLeast is how often, when that takes long.
	probeAtLeast = 100 * time.Millisecond
	// fallbackAfter is when a program is looked for at the port that it has in an image.
	fallbackAfter = time.Second
	// outputTime is how long the output of what a program has left behind is read.
	outputTime = 500 * time.Millisecond
)

// process is a program that was started.
type process struct {
	cmd     *exec.Cmd
	port    int
	backend *backend // set before ready is closed
	said    *tail    // the end of its output
	// fallback is where it may listen whatever it is told; "" is nowhere.
	fallback string

	ready chan struct{} // closed when it listens
	done  chan struct{} // closed when it has ended; err is set then
	err   error
}

// startProcess starts a program that shall listen on port.
func startProcess(o Options, program *Program, port int) (*process, error) {
	environ := environment(o.Environ, program, port)
	tool, err := lookPath(program.Command[0], program.Dir, environ)
	if err != nil {
		return nil, fault.New(fault.Conflict, "run", program.Command[0], "this program starts the function, and is not in PATH")
	}
	p := &process{port: port, said: &tail{}, ready: make(chan struct{}), done: make(chan struct{})}
	if at := net.JoinHostPort("127.0.0.1", imagePort); !listens(at) {
		p.fallback = at
	}
	p.cmd = exec.Command(tool, atPort(program.Command[1:], port)...) //nolint:noctx // it ends by stop, with a grace period
	p.cmd.Dir, p.cmd.Env, p.cmd.WaitDelay = program.Dir, environ, outputTime
	out, errs := newRenamer(io.MultiWriter(o.Out, p.said), program.Shown), newRenamer(io.MultiWriter(o.Err, p.said), program.Shown)
	p.cmd.Stdout, p.cmd.Stderr = out, errs
	ownGroup(p.cmd)
	started := make(chan error)
	go func() {
		// The system ends a child with the thread that has started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		// What it has left behind.
		killGroup(p.cmd)
		killMarked("LISTEN_ADDRESS="+p.address()+"\x00", program.Dir)
		out.flush()
		errs.flush()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fault.New(fault.Failure, "run", program.Command[0], "it cannot be started: %w", err)
	}
	go p.probe(program.Health)
	return p, nil
}

// freePort finds a port that nothing listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if err != nil {
		return 0, err
	}
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(errors.New("not an address of TCP"), l.Close())
	}
	return address.Port, l.Close()
}

// environment is the user's with what the program is told.
func environment(environ []string, program *Program, port int) []string {
	at := strconv.Itoa(port)
	out := environ
	for _, kv := range program.Env {
		// The image says where it listens when nobody tells.
		if name, value, _ := strings.Cut(kv, "="); value == imagePort && strings.HasSuffix(name, "PORT") {
			kv = name + "=" + at
		}
		out = set(out, kv)
	}
	search := strings.Join(append(program.Path, lookup(out, "PATH")), string(filepath.ListSeparator))
	// FUNC_PORT is PORT to func's runtime of Node.js.
	for _, kv := range []string{"PATH=" + search, "PWD=" + program.Dir, "PORT=" + at, "FUNC_PORT=" + at, "LISTEN_ADDRESS=127.0.0.1:" + at} {
		out = set(out, kv)
	}
	return out
}

func set(environ []string, kv string) []string {
	name, _, _ := strings.Cut(kv, "=")
	var out []string
	for _, old := range environ {
		if !strings.HasPrefix(old, name+"=") {
			out = append(out, old)
		}
	}
	return append(out, kv)
}

func lookup(environ []string, name string) string {
	for _, kv := range environ {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// atPort tells a command that names the image's port the one that it has here.
func atPort(args []string, port int) []string {
	var out []string
	for _, arg := range args {
		if before, ok := strings.CutSuffix(arg, ":"+imagePort); ok {
			arg = strings.Replace(before, "0.0.0.0", "127.0.0.1", 1) + ":" + strconv.Itoa(port)
		} else if arg == imagePort {
			arg = strconv.Itoa(port)
		}
		out = append(out, arg)
	}
	return out
}

// lookPath finds a program in the PATH that it will have.
func lookPath(name, dir string, environ []string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return exec.LookPath(name)
	}
	for _, folder := range filepath.SplitList(lookup(environ, "PATH")) {
		if found, err := exec.LookPath(filepath.Join(folder, name)); err == nil && filepath.IsAbs(found) {
			return found, nil
		}
	}
	return "", exec.ErrNotFound
}

// address is where the program is told to listen.
func (p *process) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// probe waits until the program listens, and answers at the path health if it has
// one: what serves a function listens before it starts that.
func (p *process) probe(health string) {
	tick := time.NewTimer(probeEvery)
	defer tick.Stop()
	began := time.Now()
	fallback := time.NewTimer(fallbackAfter)
	defer fallback.Stop()
	places := []string{p.address(), net.JoinHostPort("::1", strconv.Itoa(p.port))}
	for {
		for _, address := range places {
			if listens(address) && (health == "" || answers("http://"+address+health)) {
				p.backend = newBackend(address)
				close(p.ready)
				return
			}
		}
		select {
		case <-fallback.C:
			if p.fallback != "" {
				places = append(places, p.fallback)
			}
		case <-tick.C:
			// One that takes long is not looked at as often.
			tick.Reset(max(probeEvery, min(time.Since(began)/50, probeAtLeast)))
		case <-p.done:
			return
		}
	}
}

// listens reports whether a connection to address is accepted.
func listens(address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// answers reports whether there is an answer, whatever it says.
func answers(url string) bool {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return true
}

// followsPort reports whether the program listens where it was told to.
func (p *process) followsPort() bool { return p.backend == nil || p.backend.address != p.fallback }

// inUse reports whether a program that has ended has said that it wanted a port that
// another one has. It has no other way to say so.
func (p *process) inUse() bool {
	return regexp.MustCompile(`(?i)EADDRINUSE|address (is )?already in use|port \d+ (is|was) already in use|only one usage of each socket address`).Match(p.said.bytes())
}

// exit says how the program has ended.
func (p *process) exit() string {
	exited, ok := errors.AsType[*exec.ExitError](p.err)
	switch {
	case p.err == nil || errors.Is(p.err, exec.ErrWaitDelay):
		return "exit code 0"
	case ok && exited.ExitCode() >= 0:
		return fmt.Sprintf("exit code %d", exited.ExitCode())
	}
	return p.err.Error() // signal: killed
}

// stop ends the program and all that it has started: it is asked first, and killed
// after the grace period or at the end of force.
func (p *process) stop(force context.Context, grace time.Duration) {
	terminateGroup(p.cmd)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	case <-force.Done():
	}
	killGroup(p.cmd)
	<-p.done
}
