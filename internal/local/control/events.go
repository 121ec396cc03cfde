package control

import (
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const (
	// eventLife is how long an event is there after it was last seen.
	eventLife = time.Hour
	// mostEvents is how many there are at most, of those written here.
	mostEvents = 5000
)

// recorder writes events; one that repeats is counted.
type recorder struct {
	store *store.Store
	now   func() time.Time

	mu    sync.Mutex
	names map[occurrence]string
	order []written // by their first time
	timer bool      // something will look for old events
}

// occurrence is what makes two events the same.
type occurrence struct {
	uid             types.UID
	reason, message string
}

// written is an event in the store.
type written struct {
	id              occurrence
	namespace, name string
}

func newRecorder(s *store.Store, now func() time.Time) *recorder {
	return &recorder{store: s, now: now, names: map[occurrence]string{}}
}

// record writes an event about an object. An event that cannot be written is no reason
// to stop.
func (r *recorder) record(about store.Object, kind, reason, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	id := occurrence{about.GetUID(), reason, message}
	at := metav1.NewTime(r.now())
	r.mu.Lock()
	defer r.mu.Unlock()
	if name, ok := r.names[id]; ok {
		if have, ok := store.Get[*corev1.Event](r.store, about.GetNamespace(), name); ok {
			next := have.DeepCopy()
			next.Count, next.LastTimestamp = next.Count+1, at
			_, _ = r.store.Update(next)
			return
		}
	}
	if namespace, ok := store.Get[*corev1.Namespace](r.store, "", about.GetNamespace()); !ok || namespace.DeletionTimestamp != nil {
		return
	}
	gvk := r.store.KindOf(about).GroupVersionKind
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", about.GetName(), at.UnixNano()), Namespace: about.GetNamespace()},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Namespace: about.GetNamespace(), Name: about.GetName(),
			UID: about.GetUID(), ResourceVersion: about.GetResourceVersion(),
		},
		Type: kind, Reason: reason, Message: message, Count: 1,
		FirstTimestamp: at, LastTimestamp: at,
		Source:              corev1.EventSource{Component: component(gvk.Kind)},
		ReportingController: component(gvk.Kind),
	}
	if stored, err := r.store.Create(event); err == nil {
		r.names[id] = stored.GetName()
		r.order = append(r.order, written{id, event.Namespace, event.Name})
		r.bound()
	}
}

// bound forgets the oldest of too many events.
func (r *recorder) bound() {
	for len(r.order) > mostEvents {
		oldest := r.order[0]
		r.order = r.order[1:]
		_, _ = r.store.Delete(r.store.KindOf(&corev1.Event{}), oldest.namespace, oldest.name, 0, nil)
		if r.names[oldest.id] == oldest.name {
			delete(r.names, oldest.id)
		}
	}
}

func component(kind string) string {
	if kind == "Pod" {
		return corev1.DefaultSchedulerName
	}
	return strings.ToLower(kind) + "-controller"
}

// added has later called when the first of the events may be old, unless that is
// planned already.
func (r *recorder) added(later func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.timer {
		r.timer = true
		later()
	}
}

// expire deletes old events and returns when to look again, 0 when there are none.
func (r *recorder) expire() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	next := time.Duration(0)
	kind := r.store.KindOf(&corev1.Event{})
	for _, event := range store.List[*corev1.Event](r.store, "") {
		left := lastSeen(event).Add(eventLife).Sub(now)
		if left <= 0 {
			_, _ = r.store.Delete(kind, event.Namespace, event.Name, 0, nil)
			delete(r.names, occurrence{event.InvolvedObject.UID, event.Reason, event.Message})
		} else if next == 0 || left < next {
			next = left
		}
	}
	r.timer = next > 0
	if next == 0 {
		return 0
	}
	// Not for each event by itself.
	return max(next, time.Minute)
}

func lastSeen(event *corev1.Event) time.Time {
	last := event.CreationTimestamp.Time
	if event.LastTimestamp.After(last) {
		last = event.LastTimestamp.Time
	}
	if event.EventTime.After(last) {
		last = event.EventTime.Time
	}
	return last
}
