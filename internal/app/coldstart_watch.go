package app

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/coldstart"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// podWatch notes when the states of a copy's next pod are reported, by the clock of
// this machine: the cluster's own times are whole seconds.
type podWatch struct {
	began chan struct{} // closed with the first list of pods
	ended chan error
	stop  context.CancelFunc

	mu     sync.Mutex
	before map[string]bool
	seen   coldstart.Marks
	newest string
	ready  chan struct{} // closed once the pod is ready
}

func (m *coldStartRun) watchPods(ctx context.Context) *podWatch {
	ctx, cancel := context.WithCancel(ctx)
	w := &podWatch{began: make(chan struct{}), ended: make(chan error, 1), stop: cancel, before: map[string]bool{}, ready: make(chan struct{})}
	go func() {
		w.ended <- parallel.Guard(func() error {
			return m.client.WatchPods(ctx, m.selector(), func(pods []*corev1.Pod) error { w.see(pods, m.Now()); return nil })
		})()
	}()
	return w
}

func (w *podWatch) see(pods []*corev1.Pod, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.began:
	default:
		for _, pod := range pods {
			w.before[pod.Name] = true
		}
		close(w.began)
		return
	}
	wasReady := !w.seen.Ready.IsZero()
	w.seen.See(pods, w.before, now)
	for _, pod := range pods {
		if !w.before[pod.Name] && pod.DeletionTimestamp == nil && w.newest == "" {
			w.newest = pod.Name
		}
	}
	if !wasReady && !w.seen.Ready.IsZero() {
		close(w.ready)
	}
}

// listening waits until changes are noticed.
func (w *podWatch) listening(ctx context.Context) error {
	select {
	case <-w.began:
		return nil
	case err := <-w.ended:
		w.stop()
		return err
	case <-ctx.Done():
		w.stop()
		return ctx.Err()
	}
}

// marks ends the watch, after waiting a little for what is reported late.
func (w *podWatch) marks(ctx context.Context, late time.Duration) coldstart.Marks {
	defer w.stop()
	timer := time.NewTimer(late)
	defer timer.Stop()
	select {
	case <-w.ready:
	case <-timer.C:
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// pod returns the name of the pod that was started; "" when none was seen.
func (w *podWatch) pod() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest
}
