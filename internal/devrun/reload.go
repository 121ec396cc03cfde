package devrun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

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
	if f, ok := errors.AsType[*fault.Error](err); ok {
		err = f // without what is for the program only
	}
	if r.current != nil {
		r.options.Fault(err)
		r.options.Report.Note("the program that was started before goes on; the next save tries again")
		return
	}
	r.proxy.refuse(err.Error() + "; it is started again when a file is saved")
	r.options.Fault(err)
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
	if r.alone {
		r.end()
	}
	next, err := r.start(ctx, program)
	for errors.Is(err, errInUse) && ctx.Err() == nil && r.makeWay() {
		next, err = r.start(ctx, program)
	}
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
		r.options.Report.Step("serves the changes after " + r.options.Now().Sub(saved).Round(time.Millisecond).String())
		return nil
	}
	r.served = true
	return r.options.Served()
}

// errInUse is a program that has ended since it did not get a port.
var errInUse = errors.New("a port is in use")

// makeWay frees the ports that a new program may want to have: those of the old one,
// then the address that requests go to. It reports false when that has been done.
func (r *runner) makeWay() bool {
	switch {
	case r.current != nil:
		r.alone = true
		r.options.Report.Note("a port that it wants is the old program's: from now on that one ends first")
		r.end()
	case !r.direct:
		r.alone, r.direct = true, true
		r.options.Report.Note(fmt.Sprintf("it seems to listen on a port of its own, whatever the variable PORT says: it gets port %d itself, and requests fail while it is started again", r.options.Port))
		r.leave()
	default:
		return false
	}
	return true
}

// end ends the program that serves, and lets requests wait.
func (r *runner) end() {
	if r.current == nil {
		return
	}
	old := r.current
	r.current = nil
	r.proxy.hold()
	old.backend.drain(r.options.Force, drainTime)
	old.stop(r.options.Force, grace)
}

// start starts a program and waits until it listens, or the newer one that the
// sources have become meanwhile.
func (r *runner) start(ctx context.Context, program *Program) (*process, error) {
	port, err := r.options.Port, error(nil)
	if !r.direct {
		port, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	p, err := startProcess(r.options, program, port)
	if err != nil {
		return nil, err
	}
	budget := time.NewTimer(r.options.StartBudget)
	defer budget.Stop()
	for {
		select {
		case <-p.ready:
			if !p.followsPort() && !r.alone {
				r.alone = true
				r.options.Report.Note(fmt.Sprintf("it listens on port %s, whatever the variable PORT says: it ends before it is started again", imagePort))
			}
			go func() {
				<-p.done
				select {
				case r.exits <- p:
				case <-ctx.Done():
				}
			}()
			return p, nil
		case <-p.done:
			err := fault.New(fault.Failure, "run", r.options.Name, "the program has ended before it listened: %s", p.exit())
			if p.inUse() {
				return nil, errors.Join(err, errInUse)
			}
			return nil, err
		case <-budget.C:
			r.options.Report.Warn(fmt.Sprintf("%s does not listen yet: it has to listen on the port that the variable PORT says, now %d", r.options.Name, p.port))
		case <-r.watcher.changed:
			newer, err := r.newer(ctx)
			if err != nil {
				r.options.Fault(err)
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
		go r.watch(ctx, r.options.Now())
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
