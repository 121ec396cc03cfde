package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// drainFor is how long the last output of a program may take after its end.
const drainFor = 2 * time.Second

// Process is a container that was started in a Pod.
type Process struct {
	pod     *Pod // nil for a Plain one
	id      int
	own     func(*os.File) error // makes a pipe the sandbox's
	kill    func() error
	channel *channel
	orders  *os.File
	answers *bufio.Reader
	outputs [2]*os.File
	output  sync.WaitGroup
	files   []*os.File // all of ours
	done    chan struct{}
	exit    Exit

	outside *Outside
	trouble func(string)

	begun chan struct{} // closed when the first answer was read

	mutex    sync.Mutex
	ordered  bool // begin was called
	next     int
	execs    map[int]chan containerReply
	connects *questions
}

// Start starts a program in a container of its own. It runs when Start returns.
// That it cannot be started is a fault.Build: the image's, or the caller's, mistake.
func (p *Pod) Start(ctx context.Context, s Start) (*Process, error) {
	b := p.box
	raw, err := json.Marshal(order{
		Root: s.Root, Overlay: s.Overlay, Stage: b.stage(), Command: &s.Command,
		Single: b.ids.identity == Single, Shifted: b.ids.identity == Shifted, Highest: b.ids.highest(),
		Groups: s.Groups, ReadOnly: s.ReadOnly, NoNewPrivilege: s.NoNewPrivilege, Processes: s.Processes, Memory: s.Memory, Outside: s.Outside != nil,
	})
	if err != nil {
		return nil, err
	}
	c, err := p.take(ctx)
	if err != nil {
		return nil, err
	}
	c.outside, c.trouble = s.Outside, s.Trouble
	go c.listen()
	if err := c.begin(ctx, raw, s.Out, s.Err); err != nil {
		return nil, err
	}
	return c, nil
}

// Prepare starts the first process of a container that is not known yet: Start
// takes it, and is faster for it.
func (p *Pod) Prepare(ctx context.Context) error {
	c, err := p.open(ctx)
	if err != nil {
		return err
	}
	p.mutex.Lock()
	spare := p.spare == nil
	if spare {
		p.spare = c
	}
	p.mutex.Unlock()
	if !spare {
		return c.kill()
	}
	return nil
}

// take returns the first process of a container: the one that was prepared, or a new one.
func (p *Pod) take(ctx context.Context) (*Process, error) {
	p.mutex.Lock()
	c := p.spare
	p.spare = nil
	p.mutex.Unlock()
	if c != nil {
		select {
		case <-c.done: // it was killed
		default:
			return c, nil
		}
	}
	return p.open(ctx)
}

// open starts the first process of a container, which waits for its order.
func (p *Pod) open(ctx context.Context) (*Process, error) {
	c := &Process{pod: p, own: p.box.giveToRoot, done: make(chan struct{}), begun: make(chan struct{}), execs: map[int]chan containerReply{}}
	c.kill = func() error { return p.channel.send(podRequest{ID: c.id, Kill: true}) }
	theirs, err := c.connect()
	if err == nil {
		var files []int
		for _, f := range theirs {
			files = append(files, int(f.Fd()))
		}
		var got podAnswer
		got, err = p.ask(ctx, podRequest{Start: true}, c, files...)
		if err == nil && got.Error != "" {
			err = errors.New(got.Error)
		}
		if err != nil {
			err = fault.New(fault.Failure, "sandbox.start", "", "%w", err)
		}
	}
	for _, f := range theirs {
		_ = f.Close()
	}
	if err != nil {
		c.abandon()
		return nil, err
	}
	return c, nil
}

// connect makes everything between us and the container, and returns its ends:
// orders, answers, channel, standard output and error.
func (c *Process) connect() (theirs []*os.File, err error) {
	pipe := func(make func() (r, w *os.File, err error), oursWrites bool) (*os.File, error) {
		r, w, err := make()
		if err != nil {
			return nil, err
		}
		if oursWrites {
			r, w = w, r
		}
		theirs, c.files = append(theirs, w), append(c.files, r)
		return r, nil
	}
	if c.orders, err = pipe(os.Pipe, true); err != nil {
		return theirs, err
	}
	answers, err := pipe(os.Pipe, false)
	if err != nil {
		return theirs, err
	}
	c.answers = bufio.NewReader(answers)
	var other *os.File
	if c.channel, other, err = channelPair(); err != nil {
		return theirs, err
	}
	theirs = append(theirs, other)
	for i := range c.outputs {
		if c.outputs[i], err = pipe(Pipe, false); err != nil {
			return theirs, err
		}
		if err := c.own(theirs[len(theirs)-1]); err != nil {
			return theirs, err
		}
	}
	return theirs, nil
}

// giveToRoot makes a pipe the sandbox's: programs open /dev/stdout by name.
func (b *Box) giveToRoot(f *os.File) error {
	if b.ids.identity != Shifted {
		return nil
	}
	return f.Chown(b.ids.shiftTo, b.ids.shiftTo)
}

// begin gives the order and waits until the program runs.
func (c *Process) begin(ctx context.Context, raw []byte, out, errOut io.Writer) error {
	c.mutex.Lock()
	c.ordered = true
	c.mutex.Unlock()
	defer close(c.begun)
	for i, to := range []io.Writer{out, errOut} {
		if to == nil {
			to = io.Discard
		}
		from := c.outputs[i]
		c.output.Go(func() { _, _ = io.Copy(to, from) })
	}
	// A process that dies early shows in its answer, not in a broken pipe.
	_, _ = c.orders.Write(append(raw, '\n'))
	_ = c.orders.Close()
	return c.awaitStart(ctx)
}

// awaitStart reads whether the program has been started.
func (c *Process) awaitStart(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.kill() })
	var got answer
	line, err := c.answers.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &got)
	}
	switch {
	case !stop() || ctx.Err() != nil:
		return errors.Join(ctx.Err(), c.kill())
	case err != nil:
		return fault.New(fault.Failure, "sandbox.start", "", "the first process of the container ended early: %w", err)
	case got.Full && c.pod == nil:
		return noSpace(got.Error)
	case got.Full:
		return c.pod.box.diskFull(fault.New(fault.Failure, "sandbox.start", "", "%s", got.Error))
	case got.Usage:
		return fault.New(fault.Build, "sandbox.start", "", "%s", got.Error)
	case got.Error != "":
		return fault.New(fault.Failure, "sandbox.start", "", "%s", got.Error)
	}
	return nil
}

// abandon closes all that is ours.
func (c *Process) abandon() {
	for _, f := range c.files {
		_ = f.Close()
	}
	if c.channel != nil {
		_ = c.channel.close()
	}
}

// end is called when no process of the container is left.
func (c *Process) end(gone podReply) {
	defer close(c.done)
	c.mutex.Lock()
	ordered := c.ordered
	c.mutex.Unlock()
	if ordered {
		<-c.begun // who starts it reads the first answer
	}
	c.exit.Code = gone.Exit
	var got answer
	line, err := c.answers.ReadBytes('\n')
	if err == nil && json.Unmarshal(line, &got) == nil {
		c.exit.Code, c.exit.Memory = got.Exit, got.Memory
	} else if gone.Exit != 128+int(syscall.SIGKILL) {
		c.exit.Trouble = fault.New(fault.Failure, "sandbox.start", "", "the first process of the container ended early, with code %d", gone.Exit)
	}
	written := make(chan struct{})
	go func() {
		c.output.Wait()
		close(written)
	}()
	timer := time.NewTimer(drainFor)
	defer timer.Stop()
	select {
	case <-written:
	case <-timer.C: // whoever reads is too slow
	}
	c.abandon()
}

// Done is closed when the program, and everything that it has started, is gone, and
// its output was written.
func (c *Process) Done() <-chan struct{} { return c.done }

// Exit is how it has ended, once Done is closed.
func (c *Process) Exit() Exit { return c.exit }

// Signal sends a signal to the program. SIGKILL is for all that it has started, too.
func (c *Process) Signal(signal syscall.Signal) error {
	select {
	case <-c.done:
		return os.ErrProcessDone
	default:
	}
	if signal == syscall.SIGKILL {
		return c.kill()
	}
	return c.channel.send(containerOrder{Signal: signal})
}

// Exec runs another program in the container and returns its exit code. out, if
// not nil, gets its output.
func (c *Process) Exec(ctx context.Context, args []string, out io.Writer) (int, error) {
	if len(args) == 0 {
		return 0, fault.New(fault.Build, "sandbox.exec", "", "there is no program to run")
	}
	if out == nil {
		out = io.Discard
	}
	reader, writer, err := Pipe()
	if err != nil {
		return 0, err
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(out, reader)
	}()
	defer func() {
		_ = reader.Close()
		<-copied
	}()
	err = c.own(writer)
	to := make(chan containerReply, 1)
	c.mutex.Lock()
	c.next++
	id := c.next
	c.execs[id] = to
	c.mutex.Unlock()
	defer func() {
		c.mutex.Lock()
		delete(c.execs, id)
		c.mutex.Unlock()
	}()
	if err == nil {
		err = c.channel.send(containerOrder{ID: id, Exec: args}, int(writer.Fd()))
	}
	if err = errors.Join(err, writer.Close()); err != nil {
		return 0, err
	}
	select {
	case got := <-to:
		if got.Error != "" {
			return 0, fault.New(fault.Build, "sandbox.exec", "", "%s", got.Error)
		}
		timer := time.NewTimer(drainFor)
		defer timer.Stop()
		select {
		case <-copied:
		case <-timer.C: // something that it has started still has the output open
		}
		return got.Exit, nil
	case <-ctx.Done():
		_ = c.channel.send(containerOrder{ID: id, Signal: syscall.SIGKILL})
		return 0, ctx.Err()
	case <-c.done:
		return 0, os.ErrProcessDone
	}
}

// listen hands out the ends of programs that Exec has started.
func (c *Process) listen() {
	for {
		var got containerReply
		files, err := c.channel.receive(&got)
		if err != nil {
			return
		}
		if got.Connects {
			c.answerConnects(got, files)
			continue
		}
		closeAll(files)
		c.mutex.Lock()
		to := c.execs[got.ID]
		c.mutex.Unlock()
		if to != nil {
			to <- got
		}
	}
}

// answerConnects answers the questions of programs that want to connect to something.
func (c *Process) answerConnects(got containerReply, files []int) {
	if len(files) != 1 || c.outside == nil {
		closeAll(files)
		if c.trouble != nil {
			c.trouble("programs have no way out of their pod: " + got.Error)
		}
		return
	}
	q, err := newQuestions(files[0], c.outside)
	if err != nil {
		return
	}
	c.mutex.Lock()
	c.connects = q
	c.mutex.Unlock()
	go func() {
		q.serve()
		_ = q.file.Close()
	}()
}
