package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Pod is a set of namespaces that containers share: a network with nothing but a
// loopback device, a host name. Each container has its own files and processes.
type Pod struct {
	box     *Box
	cmd     *exec.Cmd
	channel *channel
	gone    chan struct{} // closed when its first process, and all others, are

	mutex   sync.Mutex
	next    int
	waiting map[int]chan podAnswer // who has asked what, by ID
	running map[int]*Process
	spare   *Process // a container's first process that waits for an order
}

type podAnswer struct {
	podReply
	files []int
}

// errPodGone is for a pod whose processes have ended.
var errPodGone = errors.New("the pod is gone")

// Pod makes the namespaces of a pod. It ends with Close, or with this process.
func (b *Box) Pod(ctx context.Context, hostname string) (*Pod, error) {
	control, other, err := channelPair()
	if err != nil {
		return nil, err
	}
	defer other.Close()
	p := &Pod{box: b, channel: control, gone: make(chan struct{}), waiting: map[int]chan podAnswer{}, running: map[int]*Process{}}
	if err := p.start(ctx, hostname, other); err != nil {
		return nil, errors.Join(err, control.close())
	}
	go p.listen()
	return p, nil
}

// start starts the first process and waits until it is ready.
func (p *Pod) start(ctx context.Context, hostname string, control *os.File) error {
	raw, err := json.Marshal(podOrder{Hostname: hostname, Shifted: p.box.ids.identity == Shifted, Single: p.box.ids.identity == Single})
	if err != nil {
		return err
	}
	orders, ordersOut, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ordersOut.Close()
	answersIn, answers, err := os.Pipe()
	if err != nil {
		return errors.Join(err, orders.Close())
	}
	defer answersIn.Close()
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{argPod}, Env: []string{}, Dir: "/"}
	if p.box.ids.identity == Ranges {
		cmd.Args = []string{argRemap, argPod}
	}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	cmd.ExtraFiles = []*os.File{orders, answers, p.box.lock, control}
	cmd.WaitDelay = 2 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWCGROUP,
		Pdeathsig: syscall.SIGKILL,
	}
	apart(cmd.SysProcAttr)
	p.box.ids.attributes(cmd.SysProcAttr)
	err = p.box.spawn(cmd.Start)
	err = errors.Join(err, orders.Close(), answers.Close())
	if err != nil {
		if cmd.Process == nil {
			return refused(err)
		}
		return errors.Join(err, cmd.Process.Kill(), ignoreExit(cmd.Wait()))
	}
	if p.box.ids.identity == Ranges {
		if err := p.box.ids.write(ctx, cmd.Process.Pid); err != nil {
			return errors.Join(&mapError{err}, cmd.Process.Kill(), ignoreExit(cmd.Wait()))
		}
	}
	// A process that dies early shows in its answer, not in a broken pipe.
	_, _ = ordersOut.Write(append(raw, '\n'))
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	said, err := io.ReadAll(io.LimitReader(answersIn, maxMessage))
	var got answer
	if err == nil && len(said) == 0 {
		err = errors.New("it ended early")
	}
	if err == nil {
		err = json.Unmarshal(said, &got)
	}
	if !stop() {
		err = ctx.Err()
	}
	if err != nil || got.Error != "" {
		_ = errors.Join(cmd.Process.Kill(), cmd.Wait())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fault.New(fault.Failure, "sandbox.pod", "", "the first process of a pod: %s%w %s", got.Error, err, strings.TrimSpace(complaint.String()))
	}
	p.cmd = cmd
	return nil
}

// listen hands out what the first process says, until it is gone.
func (p *Pod) listen() {
	for {
		var got podAnswer
		var err error
		if got.files, err = p.channel.receive(&got.podReply); err != nil {
			break
		}
		p.mutex.Lock()
		to, process := p.waiting[got.ID], p.running[got.ID]
		if got.Gone {
			delete(p.running, got.ID)
		} else {
			delete(p.waiting, got.ID)
		}
		p.mutex.Unlock()
		switch {
		case got.Gone && process != nil:
			go process.end(got.podReply)
		case !got.Gone && to != nil:
			to <- got
		default:
			closeAll(got.files)
		}
	}
	// Wait returns when everything in its namespaces is gone.
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.channel.close()
	close(p.gone)
	p.mutex.Lock()
	left := p.running
	p.running = nil
	p.mutex.Unlock()
	for _, process := range left {
		go process.end(podReply{Exit: 128 + int(syscall.SIGKILL)})
	}
}

// ask sends a request and waits for its reply.
func (p *Pod) ask(ctx context.Context, r podRequest, process *Process, files ...int) (podAnswer, error) {
	to := make(chan podAnswer, 1)
	p.mutex.Lock()
	if p.running == nil {
		p.mutex.Unlock()
		return podAnswer{}, errPodGone
	}
	p.next++
	r.ID = p.next
	p.waiting[r.ID] = to
	if process != nil {
		process.id = r.ID
		p.running[r.ID] = process
	}
	p.mutex.Unlock()
	err := p.channel.send(r, files...)
	if err == nil {
		select {
		case got := <-to:
			return got, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-p.gone:
			err = errPodGone
		}
	}
	p.mutex.Lock()
	delete(p.waiting, r.ID)
	if process != nil {
		delete(p.running, r.ID)
	}
	p.mutex.Unlock()
	select {
	case late := <-to:
		closeAll(late.files)
	default:
	}
	return podAnswer{}, err
}

// Rename gives the pod another host name.
func (p *Pod) Rename(ctx context.Context, hostname string) error {
	got, err := p.ask(ctx, podRequest{Hostname: hostname}, nil)
	if err == nil && got.Error != "" {
		err = fault.New(fault.Failure, "sandbox.pod", hostname, "%s", got.Error)
	}
	return err
}

// Dial connects to a TCP port of the pod's loopback address. The connection goes
// from kernel to kernel: nothing in between copies, and nothing listens outside.
func (p *Pod) Dial(ctx context.Context, port int) (net.Conn, error) {
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address, Err: err}
	}
	if port <= 0 || port > 65535 {
		return fail(fmt.Errorf("%d is no port", port))
	}
	got, err := p.ask(ctx, podRequest{Dial: port}, nil)
	if err != nil {
		return fail(err)
	}
	switch {
	case got.Errno != 0:
		return fail(os.NewSyscallError("connect", got.Errno))
	case len(got.files) != 1:
		closeAll(got.files)
		return fail(errors.New(got.Error))
	}
	file := os.NewFile(uintptr(got.files[0]), "connection")
	conn, err := net.FileConn(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return fail(err)
	}
	return conn, nil
}

// Done is closed when no process of the pod is left.
func (p *Pod) Done() <-chan struct{} { return p.gone }

// Close kills what still runs. It returns when nothing does.
func (p *Pod) Close() error {
	err := p.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-p.gone
	return err
}

// spawner is a thread that lives as long as the box: processes that are to die
// with this one die with the thread that has started them.
type spawner struct {
	once sync.Once
	jobs chan func()
}

// end ends the thread, and what it has started.
func (s *spawner) end() {
	s.once.Do(func() {})
	if s.jobs != nil {
		close(s.jobs)
	}
}

// spawn runs start on that thread.
func (b *Box) spawn(start func() error) error {
	b.spawner.once.Do(func() {
		b.spawner.jobs = make(chan func())
		go func() {
			runtime.LockOSThread()
			for job := range b.spawner.jobs {
				job()
			}
		}()
	})
	done := make(chan error, 1)
	b.spawner.jobs <- func() { done <- start() }
	return <-done
}
