// Package devrun runs one function as a process of this machine and starts it
// again when its sources change. Requests come in through a proxy, so that the
// address stays: a new process is started beside the old one, gets the requests
// as soon as it listens, and only then the old one ends. While there is nothing
// new that works, the old one serves.
package devrun

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// Program is how the function is started.
type Program struct {
	Command []string
	Env     []string // KEY=value, over the environment of the options
	Path    []string // folders in front of PATH
	Dir     string   // the working folder
	Health  string   // a path that is answered when the function has been started; "" is none
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

// Options say what to run. All but Force are needed.
type Options struct {
	Maker     Maker
	Listeners []net.Listener // where requests come in; Run closes them
	Port      int            // of the listeners
	Environ   []string
	Out, Err  io.Writer // of the program
	Report    progress.Reporter
	Fault     func(error) // reports what the user has to mend; the run goes on
	Name      string      // of the function, for messages
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

// Run runs the function until ctx is done, which is no error once it has been made.
func Run(ctx context.Context, o Options) error {
	r := &runner{options: o, proxy: newProxy(), exits: make(chan *process)}
	if r.options.Force == nil {
		r.options.Force = context.WithoutCancel(ctx)
	}
	r.leave = sync.OnceFunc(r.proxy.serve(o.Listeners))
	defer r.leave()
	r.watcher = newWatcher()
	defer r.watcher.close()
	err := r.loop(ctx)
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
	alone   bool          // the old program has to end before a new one starts
	direct  bool          // the program has the address itself, and there is no proxy
	leave   func()        // ends the proxy
	exits   chan *process // those that have served and have ended
	ending  sync.WaitGroup
}

func (r *runner) loop(ctx context.Context) error {
	began := r.options.Now()
	go r.watch(ctx, began)
	program, _, err := r.options.Maker.Make(ctx)
	if err != nil {
		return err
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
				go r.watch(ctx, saved)
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

// watch asks what to look at, which may take a moment. What was saved since counts
// too: it may have come before it was looked at.
func (r *runner) watch(ctx context.Context, since time.Time) {
	sources, err := r.options.Maker.Sources(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		// What is wrong with the sources Make says.
		if fault.KindOf(err) == fault.Failure {
			r.options.Report.Warn("not all changes are noticed: " + err.Error())
		}
		return
	}
	if err := r.watcher.watch(sources); err != nil {
		r.options.Report.Warn(fmt.Sprintf("the system does not tell of all changes (%v), so the files are looked at every second; on Linux the limit is fs.inotify.max_user_watches", err))
	}
	if newest(sources).After(since) {
		r.watcher.note()
	}
}
