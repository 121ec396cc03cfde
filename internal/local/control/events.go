package control

import (
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/recorder"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// events writes those of the controllers, and deletes old ones of everybody's.
type events struct {
	*recorder.Recorder
	store *store.Store
	now   func() time.Time

	mu      sync.Mutex
	planned bool // something will look for old events
}

func newEvents(s *store.Store, now func() time.Time) *events {
	return &events{Recorder: recorder.New(s, now), store: s, now: now}
}

func (e *events) record(about store.Object, kind, reason, format string, args ...any) {
	gvk := e.store.KindOf(about).GroupVersionKind
	e.Record(corev1.ObjectReference{
		APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Namespace: about.GetNamespace(), Name: about.GetName(),
		UID: about.GetUID(), ResourceVersion: about.GetResourceVersion(),
	}, corev1.EventSource{Component: component(gvk.Kind)}, kind, reason, fmt.Sprintf(format, args...))
}

func component(kind string) string {
	if kind == "Pod" {
		return corev1.DefaultSchedulerName
	}
	return strings.ToLower(kind) + "-controller"
}

// added has later called when the first of the events may be old, unless that is
// planned already.
func (e *events) added(later func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.planned {
		e.planned = true
		later()
	}
}

// expire deletes old events and returns when to look again, 0 when there are none.
func (e *events) expire() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := recorder.Expire(e.store, e.now())
	e.planned = next > 0
	return next
}
