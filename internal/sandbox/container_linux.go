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

	"github.com/kn-lite/kn-lite/internal/fault"
)

// containerOrder is what the first process of a container is asked for on its
// channel.
type containerOrder struct {
	ID     int
	Signal syscall.Signal `json:",omitempty"` // to the program, or to the one that was started as ID
	// Exec runs another program beside it. The file of the message gets its output.
	Exec []string `json:",omitempty"`
}

// containerReply says how the program that was started for ID has ended.
type containerReply struct {
	ID    int
	Error string `json:",omitempty"`
	Exit  int    `json:",omitempty"`
	// Connects comes with the file of questions where connections lead.
	Connects bool `json:",omitempty"`
}

// container is the first process of a container: it starts the program, collects
// what that leaves behind, and ends with it.
type container struct {
	plain bool     // without namespaces
	proc  *os.Root // /proc/self of a plain one

	chrooted bool // / is the program's own
	order    order
	program  program
	channel  *channel
	execs    chan execRequest

	mutex sync.Mutex // held while something starts, so that its end is not seen before
	main  int        // process id
	other map[int]int
	ended chan answer
}

type execRequest struct {
	id   int
	args []string
	out  int
}

// insidePod is Inside for the processes of pods.
func insidePod(as string, orders, answers *os.File) int {
	lock, control := os.NewFile(firstInherited-1, "lock"), os.NewFile(firstInherited, "channel")
	var err error
	if as == argPod {
		err = servePod(orders, answers, lock, control)
	} else {
		err = serveContainer(as == argPlain, orders, answers, control)
	}
	if err != nil {
		return 125
	}
	return 0
}

// serveContainer is the life of a container's first process.
func serveContainer(plain bool, orders, answers, control *os.File) error {
	c := &container{plain: plain, execs: make(chan execRequest), other: map[int]int{}, ended: make(chan answer, 1)}
	say := func(got answer) error {
		raw, err := json.Marshal(got)
		if err == nil {
			_, err = answers.Write(append(raw, '\n'))
		}
		return err
	}
	err := c.start(orders, control)
	if err != nil {
		return say(answer{Error: err.Error(), Usage: fault.KindOf(err) == fault.Build, Full: errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)})
	}
	if err := say(answer{}); err != nil {
		return err
	}
	go c.reap()
	go c.listen()
	if limit := c.order.Memory; limit > 0 && !plain {
		go c.watchMemory(limit)
	}
	// What limits programs belongs to this thread: it starts all of them.
	for {
		select {
		case r := <-c.execs:
			c.exec(r)
		case end := <-c.ended:
			if c.plain {
				endFamily(c.proc)
			}
			return say(end)
		}
	}
}

func (c *container) start(orders, control *os.File) error {
	harden := func() error { return harden("", firstOfPod) }
	if c.plain {
		harden = hardenPlain
	}
	if err := harden(); err != nil {
		return err
	}
	// It may come much later: see Prepare.
	line, err := bufio.NewReader(orders).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c.order)
	}
	if err != nil {
		return fmt.Errorf("no order: %w", err)
	}
	o := &c.order
	if err := orders.Close(); err != nil {
		return err
	}
	steps := []func() error{o.reach, o.becomeRoot, o.enterContainer}
	if c.plain {
		steps = []func() error{c.enterPlain}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if c.program, err = o.program(); err != nil {
		return asContainer(err)
	}
	if o.NoNewPrivilege || c.plain {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no new privileges: %w", err)
		}
	}
	if c.channel, err = openChannel(control); err != nil {
		return err
	}
	if o.Outside {
		if err := c.askForConnects(); err != nil {
			return err
		}
	}
	if err := raiseFiles(); err != nil {
		return err
	}
	confine := o.confine
	if c.plain {
		confine = o.confinePlain
	}
	if err := confine(); err != nil {
		return err
	}
	c.main, err = c.run(c.program.path, o.Command.Args, 1, 2)
	return asContainer(err)
}

// askForConnects has this thread's programs ask where connections lead. Where the
// kernel cannot, they have no way out of the pod.
func (c *container) askForConnects() error {
	fd, err := notifyConnects()
	if err != nil {
		return c.channel.send(containerReply{Connects: true, Error: err.Error()})
	}
	return errors.Join(c.channel.send(containerReply{Connects: true}, fd), unix.Close(fd))
}

// asContainer says why a program did not start in the words that runtimes of
// containers have for it: whoever looks for causes knows them.
func asContainer(err error) error {
	if missing, ok := errors.AsType[*noProgramError](err); ok {
		cause := syscall.ENOENT.Error()
		if missing.where != "" {
			cause = "executable file not found in $PATH"
		}
		return fault.New(fault.Build, "sandbox.start", "", "exec: %q: %s", missing.name, cause)
	}
	if failed, ok := errors.AsType[*os.PathError](err); ok && failed.Op == "exec" {
		return fault.New(fault.Build, "sandbox.start", "", "exec: %q: %w", failed.Path, failed.Err)
	}
	return err
}

// run starts a program with the limits of this thread. None here has a terminal: see apart.
func (c *container) run(path string, args []string, out, errOut uintptr) (int, error) {
	if c.plain && !c.chrooted {
		var err error
		if path, args, err = c.order.loader(path, args); err != nil {
			return 0, err
		}
	}
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Dir: c.order.Command.Dir, Env: c.program.env, Files: []uintptr{0, out, errOut},
		Sys: &syscall.SysProcAttr{Setpgid: true, Credential: c.program.credential, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return 0, &os.PathError{Op: "exec", Path: path, Err: err}
	}
	return pid, nil
}

// enterContainer makes the container's files the root.
func (o *order) enterContainer() error {
	before := func() error { return errors.Join(o.system(), o.gather()) }
	after := func() error {
		for _, dir := range []string{"proc", "dev", "sys"} {
			if err := os.Mkdir("/"+dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}
		}
		if err := o.place(); err != nil {
			return err
		}
		if o.ReadOnly {
			return restrict("/", unix.MS_RDONLY)
		}
		return nil
	}
	return o.enter(before, after)
}

// raiseFiles lets programs open as many files as this process may.
func raiseFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

// listen serves what comes on the channel.
func (c *container) listen() {
	for {
		var o containerOrder
		files, err := c.channel.receive(&o)
		if err != nil {
			// Whoever wants the container is gone. In namespaces the kernel ends all.
			c.over(128 + int(syscall.SIGKILL))
			return
		}
		switch {
		case len(o.Exec) > 0 && len(files) == 1:
			c.execs <- execRequest{o.ID, o.Exec, files[0]}
			continue
		case o.ID == 0 && o.Signal == syscall.SIGKILL:
			c.over(128 + int(syscall.SIGKILL))
		case o.Signal > 0:
			c.signal(o)
		}
		closeAll(files)
	}
}

// signal sends a signal to the program, or to one beside it and all of its group.
func (c *container) signal(o containerOrder) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if o.ID == 0 && c.main > 0 {
		_ = syscall.Kill(c.main, o.Signal) // it may be gone by itself
	}
	for pid, id := range c.other {
		if id == o.ID {
			_ = syscall.Kill(-pid, o.Signal)
		}
	}
}

func (c *container) exec(r execRequest) {
	defer unix.Close(r.out)
	if c.plain && !c.chrooted {
		r.args = c.order.translated(r.args)
	}
	path, err := findProgram(r.args[0], lookup(c.program.env, "PATH"), c.order.Command.Dir)
	if err == nil {
		c.mutex.Lock()
		var pid int
		if pid, err = c.run(path, r.args, uintptr(r.out), uintptr(r.out)); err == nil {
			c.other[pid] = r.id
		}
		c.mutex.Unlock()
	}
	if err != nil {
		_ = c.channel.send(containerReply{ID: r.id, Error: asContainer(err).Error()})
	}
}

// over ends the container, unless it has ended.
func (c *container) over(code int) { c.finish(answer{Exit: code}) }

func (c *container) finish(end answer) {
	select {
	case c.ended <- end:
	default:
	}
}

// reap waits for everything that runs here, whoever has started it, until the
// program has ended.
func (c *container) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			c.over(125) // the program is a child: this cannot be
			return
		}
		c.mutex.Lock()
		id, isExec := c.other[pid]
		delete(c.other, pid)
		over := pid == c.main
		if over {
			c.main = 0
		}
		c.mutex.Unlock()
		if isExec {
			_ = c.channel.send(containerReply{ID: id, Exit: exitCode(status)})
		}
		if over {
			c.over(exitCode(status))
			return
		}
	}
}
