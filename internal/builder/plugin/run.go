package plugin

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// Limits bound what a plugin may take. Fields that are 0 have their default.
type Limits struct {
	Timeout time.Duration // of a build; default an hour
	Bytes   int64         // that it may have in its folders; default 16 GiB
	Grace   time.Duration // from being asked to end to being killed; default 5 s
	Linger  time.Duration // for what it has started to end after it; default 2 s
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&l.Timeout, time.Hour)
	set(&l.Grace, 5*time.Second)
	set(&l.Linger, 2*time.Second)
	if l.Bytes == 0 {
		l.Bytes = 16 << 30
	}
	return l
}

const (
	// maxAnswer bounds what a plugin writes to its standard output.
	maxAnswer = 64 << 10
	// measureEvery is the time between two looks at the size of the folders.
	measureEvery = 500 * time.Millisecond
	// cookie is a variable by which the processes of a run are found, whatever session
	// or group they have moved to.
	cookie = "KN_LITE_BUILDER_RUN"
)

// Reasons for which a plugin is stopped.
var (
	errTimeout = errors.New("it did not end in time")
	errFull    = errors.New("its folders hold more than they may")
)

// call is one run of a plugin.
type call struct {
	found  Found
	limits Limits
	work   *work
	env    []string
	report progress.Reporter
}

// end is how it ended.
type end struct {
	code   int
	stdout []byte
	events *events
	left   []string // processes that it has left behind
	cause  error    // why it was stopped; nil where it ended by itself
	killed bool     // it did not end when it was asked to
}

// run starts the plugin, feeds it and waits until it and all that it has started
// have ended. An error is one of starting it.
func (c *call) run(ctx context.Context, input any) (*end, error) {
	raw, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	timer := time.AfterFunc(c.limits.Timeout, func() { stop(errTimeout) })
	defer timer.Stop()

	stdout, stderr, p, err := c.start(raw)
	if err != nil {
		return nil, err
	}
	out := &end{events: newEvents(c.report)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		heard := make(chan struct{})
		go func() { defer close(heard); _ = out.events.Play(stderr) }()
		out.stdout, _ = io.ReadAll(io.LimitReader(stdout, maxAnswer+1))
		_, _ = io.Copy(io.Discard, stdout) // a plugin that says too much does not wait for a reader
		<-heard
	}()
	measured := make(chan struct{})
	go func() { defer close(measured); c.measure(ctx, stop) }()

	out.killed = c.await(ctx, p)
	out.cause = context.Cause(ctx)
	out.code = p.code()
	out.left = c.leftovers(p)
	// The readers end with the last process that has the pipes, which is gone now.
	closing := time.AfterFunc(c.limits.Linger, func() { _ = errors.Join(stdout.Close(), stderr.Close()) })
	<-read
	closing.Stop()
	_ = errors.Join(stdout.Close(), stderr.Close())
	stop(nil)
	<-measured
	return out, nil
}

// start starts the program and returns the ends of its pipes.
func (c *call) start(input []byte) (stdout, stderr *os.File, p *process, err error) {
	var ends []*os.File
	closeAll := func(files ...*os.File) {
		for _, f := range files {
			_ = f.Close()
		}
	}
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ends...)
			return nil, nil, nil, err
		}
		ends = append(ends, r, w)
	}
	cmd := &exec.Cmd{
		Path: c.found.File, Args: []string{c.found.File}, Dir: c.work.temp,
		Stdin: ends[0], Stdout: ends[3], Stderr: ends[5],
	}
	mark := rand.Text()
	cmd.Env = append(slices.Clone(c.env), cookie+"="+mark)
	p, err = startProcess(cmd, mark)
	closeAll(ends[0], ends[3], ends[5])
	if err != nil {
		closeAll(ends[1], ends[2], ends[4])
		return nil, nil, nil, err
	}
	go func() {
		// A plugin need not read it.
		_, _ = io.Copy(ends[1], bytes.NewReader(input))
		_ = ends[1].Close()
	}()
	go func() { <-p.done; _ = ends[1].Close() }()
	return ends[2], ends[4], p, nil
}

// await returns when the program has ended, which it is asked to when ctx ends, and
// reports whether it had to be killed.
func (c *call) await(ctx context.Context, p *process) (killed bool) {
	select {
	case <-p.done:
		return false
	case <-ctx.Done():
	}
	p.terminate()
	timer := time.NewTimer(c.limits.Grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return false
	case <-timer.C:
		p.kill()
		<-p.done
		return true
	}
}

// leftovers waits a little for what the program has started, ends the rest and
// returns what that was.
func (c *call) leftovers(p *process) []string {
	deadline := time.NewTimer(c.limits.Linger)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var killed []string
	for {
		left := p.others()
		if len(left) == 0 {
			return killed
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			if killed != nil {
				return killed // not even the kernel can end them now
			}
			p.kill()
			killed = left
			deadline.Reset(c.limits.Linger)
		}
	}
}

// measure stops the plugin when its folders hold too much.
func (c *call) measure(ctx context.Context, stop context.CancelCauseFunc) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.work.size() > c.limits.Bytes {
			stop(errFull)
			return
		}
	}
}

// process is a program with all that it has started.
type process struct {
	cmd  *exec.Cmd
	mark string
	done chan struct{}
}

// startProcess starts cmd in a process group of its own. The thread that starts it
// stays until it has ended: with that thread goes the signal for a killed parent.
func startProcess(cmd *exec.Cmd, mark string) (*process, error) {
	p := &process{cmd: cmd, mark: mark, done: make(chan struct{})}
	prepare(cmd)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			// How it ended is in ProcessState.
			_ = cmd.Wait()
			close(p.done)
		}
	}()
	return p, <-started
}

// code returns the exit code, -1 for the end by a signal.
func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// failure turns an end that is not good into an error that names the plugin.
func (c *call) failure(ctx context.Context, e *end) error {
	fail := func(kind fault.Kind, format string, args ...any) *fault.Error {
		return fault.New(kind, "builder.plugin", filepath.Base(c.found.File), format, args...)
	}
	switch {
	case errors.Is(e.cause, errTimeout):
		return fail(fault.Timeout, "it did not end within %s and was stopped", c.limits.Timeout)
	case errors.Is(e.cause, errFull):
		return fail(fault.Build, "its folders hold more than %d MiB; it was stopped", c.limits.Bytes>>20)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fail(fault.Timeout, "it did not end before the deadline and was stopped")
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if e.code != 0 {
		return c.exit(e, fail)
	}
	if len(e.left) > 0 {
		return fail(fault.Build, "it ended and left processes running, which were stopped: %s", strings.Join(e.left, ", "))
	}
	return nil
}

func (c *call) exit(e *end, fail func(fault.Kind, string, ...any) *fault.Error) error {
	if said := e.events.Failed(); said != nil {
		kind, known := fault.KindNamed(said.Reason)
		switch {
		case !known && e.code == exitUnfit:
			kind = fault.Usage
		case !known:
			kind = fault.Build
		}
		err := fail(kind, "%s", said.Message)
		err.Hint = said.Hint
		return err
	}
	switch e.code {
	case exitProtocol:
		return fail(fault.Conflict, "it does not speak version %d of the protocol for builders", Protocol).
			WithHint("install a version of it for this kn-lite, or the other way round")
	case exitUnfit:
		return fail(fault.Usage, "it cannot do what was asked for%s", lastWords(e.events.last))
	case -1:
		return fail(fault.Build, "it was ended by a signal%s", lastWords(e.events.last))
	}
	return fail(fault.Build, "exit code %d%s", e.code, lastWords(e.events.last))
}

func lastWords(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "; its last lines:\n" + strings.Join(lines, "\n")
}
