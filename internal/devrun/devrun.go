// Package devrun runs one function as a process of this machine and starts it
// again when its sources change. Requests come in through a proxy, so that the
// address stays: a new process is started beside the old one, gets the requests
// as soon as it listens, and only then the old one ends. While there is nothing
// new that works, the old one serves.
package devrun

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Program is how the function is started.
type Program struct {
	Command []string
	Env     []string // KEY=value, over the environment of the options
	Path    []string // folders in front of PATH
	Dir     string   // the working folder
	Shown   []Shown  // names in its output
}

// Shown is the name of a folder in a program's output, and what stands there
// for the user.
type Shown struct{ From, To string }

// Maker makes the program from the sources.
type Maker interface {
	// Make makes what the sources are now. changed is false when that is the program
	// that the last call has given. An error of kind Build is about the sources.
	Make(ctx context.Context) (program *Program, changed bool, err error)
	// Sources are the files that decide what Make makes. It is called beside Make.
	Sources(ctx context.Context) (*Sources, error)
}

// Reporter hears what happens.
type Reporter interface {
	Done(format string, args ...any)
	Note(format string, args ...any)
	Warn(format string, args ...any)
	Fault(err error) // something that the user has to mend; the run goes on
}

// Options say what to run. All but Force are needed.
type Options struct {
	Maker     Maker
	Listeners []net.Listener // where requests come in; Run closes them
	Environ   []string
	Out, Err  io.Writer // of the program
	Report    Reporter
	Name      string // of the function, for messages
	Now       func() time.Time

	StartBudget time.Duration   // after which a program that does not listen is worth a word
	Force       context.Context // its end kills what does not end by itself; nil is never
	Served      func() error    // is called once, when the first program answers
}

const (
	// drainTime is how long requests under way may hold up the end of an old program.
	drainTime = 10 * time.Second
	// grace is what a program has to end after SIGTERM.
	grace = 10 * time.Second
)

// Run runs the function until ctx is done, which is no error.
func Run(ctx context.Context, o Options) error {
	r := &runner{options: o, proxy: newProxy(), exits: make(chan *process)}
	if r.options.Force == nil {
		r.options.Force = context.WithoutCancel(ctx)
	}
	stopProxy := r.proxy.serve(o.Listeners)
	defer stopProxy()
	var err error
	if r.watcher, err = newWatcher(); err != nil {
		return err
	}
	defer r.watcher.close()
	err = r.loop(ctx)
	r.proxy.refuse(o.Name + " has been stopped")
	r.stopAll()
	return err
}

// runner is one Run.
type runner struct {
	options Options
	proxy   *proxy
	watcher *watcher
	served  bool

	current *process      // that gets the requests; nil when none does
	stale   bool          // what was made last is not what runs
	exits   chan *process // those that have served and have ended
	ending  sync.WaitGroup
}

func (r *runner) loop(ctx context.Context) error {
	go r.watch(ctx)
	began := r.options.Now()
	program, _, err := r.options.Maker.Make(ctx)
	if err != nil {
		return unlessDone(ctx, err)
	}
	if err := r.replace(ctx, program, began); err != nil {
		return unlessDone(ctx, err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-r.exits:
			r.ended(p)
		case <-r.watcher.changed:
			saved := r.options.Now()
			if !r.watcher.settle(ctx) {
				return nil
			}
			if r.watcher.takeDefining() {
				go r.watch(ctx)
			}
			if err := r.reload(ctx, saved); err != nil {
				return unlessDone(ctx, err)
			}
		}
	}
}

// unlessDone is err, unless the end of ctx is the reason for it.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watch asks what to look at, which may take a moment.
func (r *runner) watch(ctx context.Context) {
	sources, err := r.options.Maker.Sources(ctx)
	if err == nil {
		err = r.watcher.watch(sources)
	}
	// What is wrong with the sources Make says.
	if err != nil && ctx.Err() == nil && fault.KindOf(err) == fault.Failure {
		r.options.Report.Warn("not all changes are noticed: %v", err)
	}
}

// ended is called for a program that has served and has ended.
func (r *runner) ended(p *process) {
	if p != r.current {
		return
	}
	r.current = nil
	r.failed(fault.New(fault.Failure, "run", r.options.Name, "the program has ended: %s", p.exit()))
}

// failed says what is wrong, and what goes on.
func (r *runner) failed(err error) {
	r.options.Report.Fault(err)
	if r.current != nil {
		r.options.Report.Note("the program that was started before goes on; the next save tries again")
		return
	}
	r.proxy.refuse(err.Error() + "; it is started again when a file is saved")
	r.options.Report.Note("nothing serves now; the next save starts it again")
}

// reload makes the program and starts it, if there is something new to start. An
// error ends the run; what is wrong with the sources is none.
func (r *runner) reload(ctx context.Context, saved time.Time) error {
	program, changed, err := r.options.Maker.Make(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.stale = true
		r.failed(err)
		return nil
	case !changed && !r.stale && r.current != nil:
		return nil
	}
	return r.replace(ctx, program, saved)
}

// replace starts a program, and when it listens gives it the requests.
func (r *runner) replace(ctx context.Context, program *Program, saved time.Time) error {
	r.stale = true
	next, err := r.start(ctx, program)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.failed(err)
		return nil
	}
	r.stale = false
	old := r.current
	r.current = next
	r.proxy.use(next.backend)
	if old != nil {
		r.retire(old)
	}
	if r.served {
		r.options.Report.Done("serves the changes after %s", r.options.Now().Sub(saved).Round(time.Millisecond))
		return nil
	}
	r.served = true
	return r.options.Served()
}

// start starts a program and waits until it listens, or the newer one that the
// sources have become meanwhile.
func (r *runner) start(ctx context.Context, program *Program) (*process, error) {
	p, err := startProcess(r.options, program)
	if err != nil {
		return nil, err
	}
	budget := time.NewTimer(r.options.StartBudget)
	defer budget.Stop()
	for {
		select {
		case <-p.ready:
			go func() {
				<-p.done
				select {
				case r.exits <- p:
				case <-ctx.Done():
				}
			}()
			return p, nil
		case <-p.done:
			return nil, fault.New(fault.Failure, "run", r.options.Name, "the program has ended before it listened: %s", p.exit())
		case <-budget.C:
			r.options.Report.Warn("%s does not listen yet: it has to listen on the port that the variable PORT says, now %d", r.options.Name, p.port)
		case <-r.watcher.changed:
			newer, err := r.newer(ctx)
			if err != nil {
				r.options.Report.Fault(err)
			}
			if newer == nil {
				continue
			}
			r.ending.Go(func() { p.stop(r.options.Force, grace) })
			return r.start(ctx, newer)
		case <-ctx.Done():
			p.stop(r.options.Force, grace)
			return nil, ctx.Err()
		}
	}
}

// newer makes the program when something has changed; nil is none.
func (r *runner) newer(ctx context.Context) (*Program, error) {
	if !r.watcher.settle(ctx) {
		return nil, nil
	}
	if r.watcher.takeDefining() {
		go r.watch(ctx)
	}
	program, changed, err := r.options.Maker.Make(ctx)
	if err != nil || !changed {
		return nil, unlessDone(ctx, err)
	}
	return program, nil
}

// retire ends a program that gets no requests any more.
func (r *runner) retire(p *process) {
	r.ending.Go(func() {
		p.backend.drain(r.options.Force, drainTime)
		p.stop(r.options.Force, grace)
	})
}

// stopAll ends all programs.
func (r *runner) stopAll() {
	if r.current != nil {
		r.current.stop(r.options.Force, grace)
	}
	r.ending.Wait()
}
