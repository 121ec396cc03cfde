package kubelet

import (
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const (
	component = "kubelet"
	// As on a cluster, events are forgotten after an hour; of very many, the oldest.
	eventLifetime = time.Hour
	mostEvents    = 2000
)

// recorder writes events about pods: the same one again counts up.
type recorder struct {
	store *store.Store

	mu    sync.Mutex
	last  int64 // the time in the last event's name
	known map[eventKey]*corev1.Event
	order []eventKey // by their first time
}

type eventKey struct {
	object                corev1.ObjectReference
	kind, reason, message string
}

func newRecorder(s *store.Store) *recorder {
	return &recorder{store: s, known: map[eventKey]*corev1.Event{}}
}

func (r *recorder) record(object corev1.ObjectReference, kind, reason, message string) {
	// Its version changes with each status.
	object.ResourceVersion = ""
	key := eventKey{object, kind, reason, message}
	now := metav1.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now.Time)
	if old := r.known[key]; old != nil {
		next := old.DeepCopy()
		next.Count++
		next.LastTimestamp = now
		next.ResourceVersion = ""
		if written, err := r.store.Update(next); err == nil {
			r.keep(key, written)
			return
		}
	}
	// Two in the same instant are two.
	r.last = max(now.UnixNano(), r.last+1)
	written, err := r.store.Create(&corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: object.Namespace, Name: fmt.Sprintf("%s.%x", object.Name, r.last)},
		InvolvedObject: object, Type: kind, Reason: reason, Message: message,
		Source:         corev1.EventSource{Component: component, Host: nodeName},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
		ReportingController: component, ReportingInstance: nodeName,
	})
	if err != nil {
		return // There is nobody to tell.
	}
	if r.known[key] == nil {
		r.order = append(r.order, key)
	}
	r.keep(key, written)
}

func (r *recorder) keep(key eventKey, written store.Object) {
	if e, ok := written.(*corev1.Event); ok {
		r.known[key] = e
	}
}

// expire removes events that nobody wants to see any longer.
func (r *recorder) expire(now time.Time) {
	for len(r.order) > 0 {
		key := r.order[0]
		e := r.known[key]
		if len(r.order) < mostEvents && now.Sub(e.LastTimestamp.Time) < eventLifetime {
			return
		}
		r.order = r.order[1:]
		delete(r.known, key)
		r.store.Remove(e)
	}
}
