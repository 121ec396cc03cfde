package dockerfile

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// change is an instruction that may change files.
type change struct {
	where []parser.Range
	text  string // for history and progress
	key   string // digest over what it depends on, besides the files before it
	quiet bool   // no word about it
	do    func(*root) error
}

// step is a change in its stage, in the stages that begin with that one, and in
// those that do the same up to here.
type step struct {
	change
	stage  string   // the first that it belongs to
	deps   []*stage // whose files it reads
	export bool     // the image needs its layer

	mutex  sync.Mutex
	done   bool
	cached bool
	layer  *layer.Layer // nil when nobody needs it, or it is not there yet
	saved  string       // name of the snapshot after it; "" is none yet
	empty  bool         // it is known to change nothing
}

// ready is the files of a stage that is finished.
type ready struct {
	once sync.Once
	root *root
	err  error
}

// change notes a step. It is run when somebody needs what it makes.
func (b *builder) change(_ context.Context, s *stage, c change) error {
	s.key = digest(b.keySpace(), s.key, c.key, b.Platform.String(), strconv.FormatBool(b.expect))
	c.key = s.key
	if b.steps[s.key] == nil {
		b.steps[s.key] = &step{change: c, stage: s.name, deps: b.needed}
	}
	s.steps, s.positions = append(s.steps, b.steps[s.key]), append(s.positions, len(s.history))
	b.needed = nil
	s.history = append(s.history, v1.History{Created: b.created(), CreatedBy: c.text})
	return nil
}

// make makes the layers of the image that a stage is.
func (b *builder) make(ctx context.Context, s *stage) error {
	for _, st := range s.steps {
		st.export = true
	}
	for _, st := range s.steps {
		b.findLayer(ctx, st)
	}
	return b.makeFrom(ctx, s, &root{})
}

// makeFrom makes the steps of a stage that are not in r. What the others read is
// made at the same time.
func (b *builder) makeFrom(ctx context.Context, s *stage, r *root) error {
	missing := slices.ContainsFunc(s.steps[r.steps:], func(st *step) bool { return !st.isDone() })
	if !missing {
		return nil
	}
	if err := b.open(ctx); err != nil {
		return err
	}
	for _, st := range s.steps[r.steps:] {
		if !st.isDone() {
			for _, other := range st.deps {
				b.scheduler.start(ctx, func(ctx context.Context) error {
					_, err := b.root(ctx, other)
					return err
				})
			}
		}
	}
	for i := r.steps; i < len(s.steps); i++ {
		if err := b.ensure(ctx, s, i, r); err != nil {
			return err
		}
	}
	return nil
}

// isDone reports whether the step needs no more work.
func (st *step) isDone() bool {
	st.mutex.Lock()
	defer st.mutex.Unlock()
	return st.complete()
}

func (st *step) complete() bool { return st.done && (st.layer != nil || !st.export) }

// findLayer looks for the layer of a step, here and on other machines.
func (b *builder) findLayer(ctx context.Context, st *step) bool {
	st.mutex.Lock()
	defer st.mutex.Unlock()
	if st.complete() {
		return true
	}
	made, ok := b.find(ctx, b.keyOf(st))
	if !ok {
		return false
	}
	b.say(st, "cached: ")(nil)
	st.layer, st.cached, st.empty, st.done = made, true, made.Empty(), true
	return true
}

// say tells that a step begins; what it returns, that it is over.
func (b *builder) say(st *step, prefix string) func(error) {
	if st.quiet {
		return func(error) {}
	}
	text := b.label(st) + st.text
	task := b.Report.Start(text, 0)
	return func(err error) { progress.End(task, b.label(st)+prefix+st.text, err) }
}

// label begins what is said of a step where there is more than one stage.
func (b *builder) label(st *step) string {
	if len(b.stages) < 2 {
		return ""
	}
	return "[" + st.stage + "] "
}

// root returns the files of a stage that is finished.
func (b *builder) root(ctx context.Context, s *stage) (*root, error) {
	s.ready.once.Do(func() { s.ready.root, s.ready.err = b.unpacked(ctx, s) })
	return s.ready.root, s.ready.err
}

func (b *builder) unpacked(ctx context.Context, s *stage) (*root, error) {
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	r := b.resume(s)
	for _, st := range s.steps[r.steps:] {
		b.findLayer(ctx, st)
	}
	if err := b.makeFrom(ctx, s, r); err != nil {
		return nil, err
	}
	return r, b.bring(ctx, s, r, len(s.steps))
}

// resume returns the files after the last step that there is a snapshot of.
func (b *builder) resume(s *stage) *root {
	for i := len(s.steps) - 1; i >= 0; i-- {
		st := s.steps[i]
		st.mutex.Lock()
		r, ok := b.afterStep(st)
		st.mutex.Unlock()
		if !ok {
			continue
		}
		r.steps = i + 1
		for _, done := range s.steps[:i+1] {
			b.tellCached(done)
		}
		return r
	}
	return &root{}
}

func (b *builder) tellCached(st *step) {
	st.mutex.Lock()
	defer st.mutex.Unlock()
	if !st.done && !st.cached {
		b.say(st, "cached: ")(nil)
	}
	st.cached = true
}

// afterStep returns the files after a step when there is a snapshot of them.
func (b *builder) afterStep(st *step) (*root, bool) {
	if b.snapshots == nil || b.NoCache && !st.done {
		return nil, false
	}
	name := st.saved
	if name == "" {
		name = b.stepName(st)
	}
	found, ok := b.snapshots.Find(name)
	if !ok {
		return nil, false
	}
	return &root{layered: true, tree: found.Tree, name: name, empty: found.Empty}, true
}

// stepName is under what the files after a step are saved.
func (b *builder) stepName(st *step) string { return digest("step", b.keyOf(st)) }

// keyOf is under what the layer of a step is saved.
func (b *builder) keyOf(st *step) string {
	if b.degraded != b.expect {
		return digest(st.key, "one user") // newuidmap did not do what its files promise
	}
	return st.key
}

// ensure makes the i-th step, or finds what it has made. r has the files of
// some steps before it.
func (b *builder) ensure(ctx context.Context, s *stage, i int, r *root) error {
	st := s.steps[i]
	st.mutex.Lock()
	defer st.mutex.Unlock()
	if st.complete() {
		return nil
	}
	err := b.findOrRun(ctx, s, i, r)
	if err == nil {
		st.done = true
	}
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Op == opBuild {
		return err // in another stage
	}
	return b.locate(st.where, err)
}

func (b *builder) findOrRun(ctx context.Context, s *stage, i int, r *root) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	st := s.steps[i]
	if err := b.bring(ctx, s, r, i); err != nil {
		return err
	}
	if after, ok := b.afterStep(st); ok && st.export {
		return b.export(ctx, st, after)
	}
	for _, other := range st.deps {
		if _, err := b.root(ctx, other); err != nil {
			return err
		}
	}
	release, err := b.scheduler.enter(ctx)
	if err != nil {
		return err
	}
	defer release()
	return b.perform(ctx, st, r)
}
