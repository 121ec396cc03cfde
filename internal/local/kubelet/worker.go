package kubelet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// worker makes one pod true. What it knows is written to the pod's status with
// each change.
type worker struct {
	k    *Kubelet
	uid  types.UID
	name types.NamespacedName
	dir  string        // of its logs
	done chan struct{} // closed when nothing is left of the pod

	// life ends when the pod is to end: nothing is started from then on.
	life context.Context
	end  context.CancelFunc
	// force ends when there is no time left: the rest is killed.
	force context.Context
	kill  context.CancelFunc
	// draining ends when nobody waits for requests in flight any longer.
	draining context.Context
	drained  context.CancelFunc

	inits, containers []*container
	running           sync.WaitGroup // of the containers' goroutines
	volumes           map[string]*volume
	tokens            map[tokenKey]heldToken
	refresh           chan struct{} // what the volumes show may have changed
	// round is the part of life in which there is the same sandbox.
	round context.Context

	mu       sync.Mutex
	pod      *corev1.Pod // as last seen in the store
	sandbox  Sandbox
	deadline time.Time   // of the pod's end
	timer    *time.Timer // ends force
	closed   bool        // a sandbox that comes now is late
}

func newWorker(k *Kubelet, p *corev1.Pod) *worker {
	w := &worker{
		k: k, uid: p.UID, name: nameOf(p), pod: p, done: make(chan struct{}), refresh: make(chan struct{}, 1),
		dir: filepath.Join(k.o.Dir, p.Namespace+"_"+p.Name+"_"+string(p.UID)),
	}
	w.life, w.end = context.WithCancel(context.Background())
	w.round = w.life
	w.force, w.kill = context.WithCancel(context.Background())
	w.draining, w.drained = context.WithCancel(w.force)
	for i := range p.Spec.InitContainers {
		w.inits = append(w.inits, newContainer(w, &p.Spec.InitContainers[i], true, podInitializing))
	}
	reason := containerCreating
	if len(w.inits) > 0 {
		reason = podInitializing
	}
	for i := range p.Spec.Containers {
		w.containers = append(w.containers, newContainer(w, &p.Spec.Containers[i], false, reason))
	}
	return w
}

// set notes what the store has; the containers are those of the first time.
func (w *worker) set(p *corev1.Pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if versionOf(p) > versionOf(w.pod) {
		w.pod = p
	}
}

// versionOf orders the states of a pod: watches are a little behind.
func versionOf(p *corev1.Pod) uint64 {
	version, _ := strconv.ParseUint(p.ResourceVersion, 10, 64) // the store's are numbers
	return version
}

func (w *worker) current() *corev1.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pod
}

func (w *worker) currentSandbox() Sandbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sandbox
}

// remove ends the pod within grace; 0 is at once, also when it is ending already.
func (w *worker) remove(grace time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if grace == 0 {
		w.end()
		w.kill()
		return
	}
	w.endWithin(grace)
}

// shutDown ends the pod because the platform ends: what sends requests is gone.
func (w *worker) shutDown(bound time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drained()
	w.endWithin(min(graceOf(w.pod), bound))
	w.killAfter(min(time.Until(w.deadline), bound))
}

// endWithin begins the end, once, with w.mu held.
func (w *worker) endWithin(grace time.Duration) {
	if w.life.Err() != nil {
		return
	}
	w.deadline = time.Now().Add(grace)
	w.killAfter(grace + leastGrace)
	w.end()
}

// killAfter sets the end of all patience, with w.mu held.
func (w *worker) killAfter(d time.Duration) {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = time.AfterFunc(d, w.kill)
}

// run is the pod's goroutine.
func (w *worker) run() {
	defer w.kill()
	defer w.stopTimer()
	w.update(func() {})
	for again := (restarts{}); w.life.Err() == nil; {
		begun := time.Now()
		w.runRound()
		if w.life.Err() == nil {
			w.sandboxLost()
			sleep(w.life, again.next(time.Since(begun)))
		}
	}
	w.takeDown()
}

func (w *worker) stopTimer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}

// runRound runs the pod until it is to end, or its sandbox is gone.
func (w *worker) runRound() {
	round, end := context.WithCancel(w.life)
	defer end()
	w.round = round
	w.running.Go(func() {
		if err := w.bringUp(end); err != nil && round.Err() == nil {
			w.event("", corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: "+err.Error())
		}
	})
	<-round.Done()
	w.settle()
}

// settle waits until nothing is being started any longer. A runtime that does not
// come back does not keep a pod that is to end: Close is for all that it has begun.
func (w *worker) settle() {
	settled := make(chan struct{})
	go func() { defer close(settled); w.running.Wait() }()
	select {
	case <-settled:
		return
	case <-w.life.Done():
	}
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	select {
	case <-settled:
	case <-timer.C:
	}
}

// sandboxIsGone reports, of a container that did not start, whether it had nothing
// to start in. The end of a container may be seen a moment before that of its sandbox.
func (w *worker) sandboxIsGone() bool {
	const moment = 100 * time.Millisecond
	if _, ok := w.currentSandbox().(Mortal); ok {
		return !sleep(w.round, moment)
	}
	return w.round.Err() != nil
}

// sandboxLost is for a sandbox that has ended by itself, with all in it: somebody
// has killed its first process. The pod begins anew in another one.
func (w *worker) sandboxLost() {
	w.event("", corev1.EventTypeNormal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
	w.closeSandbox()
	for _, c := range w.all() {
		c.lost()
	}
	w.update(func() { w.sandbox = nil })
}

// bringUp starts everything and returns when it runs.
func (w *worker) bringUp(end context.CancelFunc) error {
	sandbox, err := w.makeSandbox()
	if err != nil {
		return err
	}
	if s, ok := sandbox.(Mortal); ok {
		w.running.Go(func() {
			select {
			case <-s.Done():
				end()
			case <-w.round.Done():
			}
		})
	}
	var late bool
	w.update(func() { w.sandbox, late = sandbox, w.closed })
	if late {
		w.closeSandbox()
		return nil
	}
	if err := w.mountVolumes(); err != nil {
		return err
	}
	if w.showsConfig() {
		w.running.Go(w.keepVolumes)
	}
	for _, c := range w.inits {
		if !c.runToEnd() {
			return nil
		}
	}
	for _, c := range w.containers {
		w.running.Go(c.keepRunning)
	}
	return nil
}

// makeSandbox tries again when the machine has not let it.
func (w *worker) makeSandbox() (Sandbox, error) {
	p := w.current()
	for delay := newBackoff(); ; {
		sandbox, err := w.k.o.Runtime.Sandbox(w.round, p.Namespace+"/"+p.Name, hostname(p))
		if err == nil || w.round.Err() != nil {
			return sandbox, err
		}
		w.event("", corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: "+err.Error())
		if !w.pause(delay.Next()) {
			return nil, w.round.Err()
		}
	}
}

// drain waits for the requests in flight, which may take all of the grace. The
// containers have a little time after that to end in order, as on a cluster.
func (w *worker) drain() {
	w.mu.Lock()
	p, sandbox, deadline := w.pod, w.sandbox, w.deadline
	w.mu.Unlock()
	if d := w.k.o.Drain; d != nil && sandbox != nil && w.draining.Err() == nil {
		ctx, cancel := context.WithDeadline(w.draining, deadline)
		defer cancel()
		// What goes wrong there ends with the grace, as everything.
		_ = d.Drain(ctx, p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining.Err() == nil {
		w.killAfter(max(time.Until(deadline), leastGrace))
	}
}

// takeDown ends the containers and removes the pod.
func (w *worker) takeDown() {
	w.drain()
	var stopping sync.WaitGroup
	for _, c := range w.all() {
		stopping.Go(func() { c.stop(w.force) })
	}
	stopping.Wait()
	w.closeSandbox()
	w.closeLogs()
	// A pod that only ends because the platform does stays in the store.
	if p := w.current(); p.DeletionTimestamp != nil {
		w.k.o.Store.Remove(p)
	}
}

func (w *worker) closeSandbox() {
	w.mu.Lock()
	sandbox := w.sandbox
	w.closed = w.life.Err() != nil
	w.mu.Unlock()
	if sandbox == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if err := sandbox.Close(ctx); err != nil {
		w.event("", corev1.EventTypeWarning, "FailedKillPod", "error killing pod: "+err.Error())
	}
}

func (w *worker) closeLogs() {
	for _, c := range w.all() {
		c.closeLog()
	}
	if err := os.RemoveAll(w.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.event("", corev1.EventTypeWarning, "FailedKillPod", "the pod's logs cannot be removed: "+err.Error())
	}
}

// update changes what is known and writes it to the status.
func (w *worker) update(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	next := w.pod.DeepCopy()
	next.Status = podStatus(next, w.sandbox != nil, statuses(w.inits), statuses(w.containers))
	// The kubelet alone writes it: whatever else has changed since is no conflict.
	next.ResourceVersion = ""
	if written, err := w.k.o.Store.UpdateStatus(next); err == nil {
		if p, ok := written.(*corev1.Pod); ok {
			w.pod = p
		}
	}
}

// pause waits; false says that the pod is to end, or its sandbox is gone.
func (w *worker) pause(d time.Duration) bool { return sleep(w.round, d) }

func (w *worker) event(fieldPath, kind, reason, message string) {
	w.k.events.Record(refTo(w.current(), fieldPath), corev1.EventSource{Component: "kubelet", Host: nodeName}, kind, reason, message)
}

// all are the containers in the order of their start.
func (w *worker) all() []*container { return slices.Concat(w.inits, w.containers) }
