package sandbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// podOrder is what the first process of a pod is told, on its file descriptor 3.
type podOrder struct {
	Hostname string
	Shifted  bool
	Single   bool
}

// podRequest is what it is asked for on its channel.
type podRequest struct {
	ID int
	// Dial is a port of the loopback address to connect to.
	Dial int `json:",omitempty"`
	// Start starts a container, whose files come with the message: orders, answers,
	// channel, standard output and error.
	Start bool `json:",omitempty"`
	// Listen is tcp or udp: a socket at Port.
	Listen string `json:",omitempty"`
	Port   int    `json:",omitempty"`
	// Hostname is what the pod is called from now on.
	Hostname string `json:",omitempty"`
	// Kill ends the container that was started under ID.
	Kill bool `json:",omitempty"`
}

// podReply is what it says to a request, and Gone, later, when a container is.
type podReply struct {
	ID    int
	Error string        `json:",omitempty"`
	Errno syscall.Errno `json:",omitempty"`
	Gone  bool          `json:",omitempty"`
	Exit  int           `json:",omitempty"`
}

// pod is the first process of a pod: it holds the namespaces that containers
// share, starts them, and connects to their ports. When it ends, or the program
// outside does, the kernel ends all of them.
type pod struct {
	channel *channel
	lock    *os.File
	starts  chan startRequest
	mutex   sync.Mutex
	running map[int]*os.Process
}

type startRequest struct {
	id    int
	files []int
}

// servePod is the life of the first process.
func servePod(orders, answers, lock, control *os.File) error {
	p := &pod{lock: lock, starts: make(chan startRequest), running: map[int]*os.Process{}}
	err := p.prepare(orders, control)
	var got answer
	if err != nil {
		got.Error = err.Error()
	}
	raw, marshalErr := json.Marshal(got)
	if err := errors.Join(err, marshalErr); err != nil {
		_, _ = answers.Write(raw)
		return err
	}
	if _, err := answers.Write(raw); err != nil {
		return err
	}
	if err := answers.Close(); err != nil {
		return err
	}
	go p.listen()
	// Containers are to die with the thread that starts them: it is this one.
	for request := range p.starts {
		if err := p.start(request); err != nil {
			_ = p.channel.send(podReply{ID: request.id, Error: err.Error()})
		}
	}
	return nil
}

func (p *pod) prepare(orders, control *os.File) (err error) {
	var o podOrder
	line, err := bufio.NewReader(orders).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	if err != nil {
		return fmt.Errorf("no order: %w", err)
	}
	if err := errors.Join(orders.Close(), harden(o.Hostname, firstOfPod)); err != nil {
		return err
	}
	// Root's containers open folders of the host first, as this process may.
	if !o.Shifted {
		if err := (&order{Single: o.Single}).becomeRoot(); err != nil {
			return err
		}
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("loopback device: %w", err)
	}
	p.channel, err = openChannel(control)
	return err
}

// listen serves requests until the program outside is gone.
func (p *pod) listen() {
	defer close(p.starts)
	for {
		var r podRequest
		files, err := p.channel.receive(&r)
		if err != nil {
			return // the end of this process is the end of everything in it
		}
		switch {
		case r.Start && len(files) == 5:
			p.starts <- startRequest{r.ID, files}
			continue
		case r.Kill:
			p.kill(r.ID)
		case r.Dial > 0:
			go p.dial(r)
		case r.Listen != "":
			p.hand(r.ID, func() (int, error) { return listenAt(r.Listen, r.Port) })
		case r.Hostname != "":
			reply := podReply{ID: r.ID}
			if err := unix.Sethostname([]byte(r.Hostname)); err != nil {
				reply.Error = err.Error()
			}
			_ = p.channel.send(reply)
		}
		closeAll(files)
	}
}

// start starts this program again, as the first process of a container.
func (p *pod) start(r startRequest) error {
	var got []*os.File
	for _, fd := range r.files {
		file := os.NewFile(uintptr(fd), "received")
		defer file.Close()
		got = append(got, file)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	process, err := os.StartProcess("/proc/self/exe", []string{argContainer}, &os.ProcAttr{
		Dir: "/", Env: []string{}, Files: []*os.File{null, got[3], got[4], got[0], got[1], p.lock, got[2]},
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL, Setpgid: true},
	})
	if err != nil {
		return err
	}
	p.mutex.Lock()
	p.running[r.id] = process
	p.mutex.Unlock()
	if err := p.channel.send(podReply{ID: r.id}); err != nil {
		return err
	}
	go p.await(r.id, process)
	return nil
}

// await says when the container is gone: its first process ends last.
func (p *pod) await(id int, process *os.Process) {
	state, err := process.Wait()
	p.mutex.Lock()
	delete(p.running, id)
	p.mutex.Unlock()
	reply := podReply{ID: id, Gone: true}
	if err != nil {
		reply.Error = err.Error()
	} else if status, ok := state.Sys().(syscall.WaitStatus); ok {
		reply.Exit = exitCode(status)
	}
	_ = p.channel.send(reply)
}

func (p *pod) kill(id int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if process := p.running[id]; process != nil {
		_ = process.Kill() // it may be gone by itself
	}
}

// dial answers with a connected socket.
func (p *pod) dial(r podRequest) {
	p.hand(r.ID, func() (int, error) { return dialLoopback(r.Dial) })
}

// hand answers with the file that open opens.
func (p *pod) hand(id int, open func() (int, error)) {
	fd, err := open()
	if err != nil {
		reply := podReply{ID: id, Error: err.Error()}
		errors.As(err, &reply.Errno)
		_ = p.channel.send(reply)
		return
	}
	_ = p.channel.send(podReply{ID: id}, fd)
	_ = unix.Close(fd)
}

// dialTimeout is for a program whose queue of connections is full.
const dialTimeout = 5000 // milliseconds

func dialLoopback(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	if errors.Is(err, unix.EINPROGRESS) {
		err = finishConnect(fd)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func finishConnect(fd int) error {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(poll, dialTimeout)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n == 0:
			return unix.ETIMEDOUT
		}
		failed, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && failed != 0 {
			err = syscall.Errno(failed)
		}
		return err
	}
}

func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
