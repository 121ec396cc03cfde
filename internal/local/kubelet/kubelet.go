package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/recorder"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Drain waits until a pod that is to be deleted has no request in flight, at most
// until ctx ends.
type Drain interface {
	Drain(ctx context.Context, pod *corev1.Pod) error
}

// Tokens makes what a projected volume shows of a service account.
type Tokens interface {
	Token(ctx context.Context, pod *corev1.Pod, audience string, lifetime time.Duration) (string, error)
}

// Options say what a Kubelet works with.
type Options struct {
	Store   *store.Store
	Runtime Runtime
	// Dir is a folder of its own, for logs. What an earlier run has left is removed.
	Dir    string
	Drain  Drain  // nil: nothing to wait for
	Tokens Tokens // nil: there are none
	// StopWithin bounds how long the containers have at the end of Run; 0 is 10 s.
	StopWithin time.Duration
	// LogLimit is how large a log file becomes; 0 is podlog.DefaultLimit.
	LogLimit int64
}

const (
	defaultStopWithin = 10 * time.Second
	// closeWithin bounds what the runtime does after the last process is gone.
	closeWithin = 10 * time.Second
)

// Kubelet makes the pods of a store true.
type Kubelet struct {
	o      Options
	events *recorder.Recorder

	mu      sync.Mutex
	workers map[types.UID]*worker
	byName  map[types.NamespacedName]*worker // the newest of its name
}

// New makes a Kubelet that Run brings to life.
func New(o Options) *Kubelet {
	if o.StopWithin == 0 {
		o.StopWithin = defaultStopWithin
	}
	return &Kubelet{
		o: o, events: recorder.New(o.Store, time.Now),
		workers: map[types.UID]*worker{}, byName: map[types.NamespacedName]*worker{},
	}
}

// Run runs pods until ctx ends, and then stops all of them.
func (k *Kubelet) Run(ctx context.Context) error {
	if err := k.clean(); err != nil {
		return err
	}
	defer k.stopAll()
	return store.Follow(ctx, k.list, k.changed)
}

func (k *Kubelet) changed(e store.Event) {
	p, ok := e.Object.(*corev1.Pod)
	switch {
	case !ok:
		k.changedConfig(e)
	case e.Change == store.Deleted:
		k.forget(p)
	default:
		k.sync(p)
	}
}

// clean removes the logs of pods that an earlier run has had.
func (k *Kubelet) clean() error {
	entries, err := os.ReadDir(k.o.Dir)
	if errors.Is(err, os.ErrNotExist) {
		err = os.MkdirAll(k.o.Dir, 0o700)
	}
	for _, e := range entries {
		if strings.Count(e.Name(), "_") != 2 {
			continue // It is nothing of a pod.
		}
		err = errors.Join(err, os.RemoveAll(filepath.Join(k.o.Dir, e.Name())))
	}
	if err != nil {
		return &fault.Error{Op: "local.pods", Kind: fault.Failure, Subject: k.o.Dir, Err: err, Hint: "the logs of instances are there: let this user write to the folder, or remove it"}
	}
	return nil
}

// list takes up all pods that there are, and returns a watch from there on.
func (k *Kubelet) list() *store.Watch {
	items, version := k.o.Store.List(k.o.Store.KindOf(&corev1.Pod{}), "")
	there := map[types.UID]bool{}
	for _, item := range items {
		if p, ok := item.(*corev1.Pod); ok {
			there[p.UID] = true
			k.sync(p)
		}
	}
	for _, w := range k.all() {
		if !there[w.uid] {
			w.remove(0)
		}
	}
	return k.o.Store.Watch(version)
}

// sync takes up one pod as it is now.
func (k *Kubelet) sync(p *corev1.Pod) {
	k.mu.Lock()
	w := k.workers[p.UID]
	if w == nil {
		w = k.begin(p)
	}
	k.mu.Unlock()
	if w == nil {
		return
	}
	w.set(p)
	if p.DeletionTimestamp != nil {
		w.remove(graceOf(p))
	}
}

// begin takes up a pod that is new, with k.mu held; nil is for one that is not: the
// watch is behind, and still shows what has ended.
func (k *Kubelet) begin(p *corev1.Pod) *worker {
	now, ok := store.Get[*corev1.Pod](k.o.Store, p.Namespace, p.Name)
	if !ok || now.UID != p.UID {
		return nil
	}
	if now.DeletionTimestamp != nil {
		k.o.Store.Remove(now)
		return nil
	}
	w := newWorker(k, now)
	k.workers[p.UID], k.byName[nameOf(p)] = w, w
	go k.work(w)
	return w
}

// work runs one pod until nothing is left of it.
func (k *Kubelet) work(w *worker) {
	defer close(w.done)
	w.run()
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.workers, w.uid)
	if k.byName[w.name] == w {
		delete(k.byName, w.name)
	}
}

// forget ends a pod that the store does not have any longer.
func (k *Kubelet) forget(p *corev1.Pod) {
	k.mu.Lock()
	w := k.workers[p.UID]
	k.mu.Unlock()
	if w != nil {
		w.remove(0)
	}
}

func (k *Kubelet) all() []*worker {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]*worker, 0, len(k.workers))
	for _, w := range k.workers {
		out = append(out, w)
	}
	return out
}

func (k *Kubelet) stopAll() {
	workers := k.all()
	for _, w := range workers {
		w.shutDown(k.o.StopWithin)
	}
	for _, w := range workers {
		<-w.done
	}
}

func (k *Kubelet) find(namespace, name string) (*worker, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.byName[types.NamespacedName{Namespace: namespace, Name: name}]; w != nil {
		return w, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("pods"), name)
}

// DialPod connects to a port of a pod.
func (k *Kubelet) DialPod(ctx context.Context, namespace, name string, port int32) (net.Conn, error) {
	w, err := k.find(namespace, name)
	if err != nil {
		return nil, err
	}
	sandbox := w.currentSandbox()
	if sandbox == nil {
		return nil, fmt.Errorf("pod %s/%s has not started yet", namespace, name)
	}
	return sandbox.Dial(ctx, port)
}

func nameOf(p *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
}

// graceOf is how long a pod has from the time of its deletion on.
func graceOf(p *corev1.Pod) time.Duration {
	switch {
	case p.DeletionGracePeriodSeconds != nil:
		return time.Duration(*p.DeletionGracePeriodSeconds) * time.Second
	case p.Spec.TerminationGracePeriodSeconds != nil:
		return time.Duration(*p.Spec.TerminationGracePeriodSeconds) * time.Second
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}
