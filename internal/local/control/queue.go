package control

import (
	"sync"
	"time"
)

// task names what may have to be done; the doing looks at the store.
type task struct {
	work            work
	namespace, name string
}

// work is a kind of task.
type work string

const (
	doService       work = "service"
	doConfiguration work = "configuration"
	doRevision      work = "revision"
	doRoute         work = "route"
	doDeployment    work = "deployment"
	doGarbage       work = "garbage"   // revisions of a configuration that nobody needs any longer
	doNamespace     work = "namespace" // what each one has, or what one that is gone leaves behind
	doOrphans       work = "orphans"   // what an owner that is gone leaves behind; the name is its UID
	doExpire        work = "expire"    // old events
)

// firstBackoff and lastBackoff bound how long a task that failed waits.
const (
	firstBackoff = 20 * time.Millisecond
	lastBackoff  = time.Minute
)

// queue hands out tasks: each at most once at a time, and once more when it was
// added while it was done. It is not a channel: adding never blocks.
type queue struct {
	mu      sync.Mutex
	ready   *sync.Cond
	closed  bool
	waiting []task
	urgent  []task // go first
	tasks   map[task]*state
}

// urgent reports whether a task is one that a request may be waiting for: pods are made
// before anything else, however much else there is to do.
func (t task) urgent() bool { return t.work == doDeployment }

// state is what a queue knows of a task that is waiting, running or due later.
type state struct {
	waiting, running, again bool
	failures                int
	timer                   *time.Timer
}

func newQueue() *queue {
	q := &queue{tasks: map[task]*state{}}
	q.ready = sync.NewCond(&q.mu)
	return q
}

// add has a task done soon.
func (q *queue) add(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(t)
}

func (q *queue) push(t task) {
	s := q.tasks[t]
	if s == nil {
		s = &state{}
		q.tasks[t] = s
	}
	switch {
	case q.closed || s.waiting:
	case s.running:
		s.again = true
	default:
		s.waiting = true
		if t.urgent() {
			q.urgent = append(q.urgent, t)
		} else {
			q.waiting = append(q.waiting, t)
		}
		q.ready.Signal()
	}
}

// take waits for a task; ok is false when the queue is closed.
func (q *queue) take() (t task, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.urgent)+len(q.waiting) == 0 && !q.closed {
		q.ready.Wait()
	}
	if q.closed {
		return task{}, false
	}
	line := &q.waiting
	if len(q.urgent) > 0 {
		line = &q.urgent
	}
	t, *line = (*line)[0], (*line)[1:]
	s := q.tasks[t]
	s.waiting, s.running = false, true
	return t, true
}

// done ends a task that take gave. It is due again after some time, unless that
// is 0; an earlier due time no longer counts.
func (q *queue) done(t task, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks[t].failures = 0
	q.finish(t, after)
}

// failed ends a task that take gave, and has it done again, later each time.
func (q *queue) failed(t task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.tasks[t]
	wait := min(firstBackoff<<min(s.failures, 20), lastBackoff)
	s.failures++
	q.finish(t, wait)
}

func (q *queue) finish(t task, after time.Duration) {
	s := q.tasks[t]
	again := s.again
	s.running, s.again = false, false
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if after > 0 && !q.closed {
		s.timer = time.AfterFunc(after, func() { q.add(t) })
	}
	switch {
	case again:
		q.push(t)
	case s.timer == nil && s.failures == 0:
		delete(q.tasks, t)
	}
}

// close ends all waiting, for good.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, s := range q.tasks {
		if s.timer != nil {
			s.timer.Stop()
		}
	}
	q.ready.Broadcast()
}
