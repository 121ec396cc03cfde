// Package recorder writes the events of the embedded platform's parts, as a cluster has
// them: one that repeats is counted, and old ones are forgotten.
package recorder

import (
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const (
	// Life is how long an event is there after it was last seen, as on a cluster.
	Life = time.Hour
	// Most is how many events there are at most of one Recorder.
	Most = 5000
)

// Recorder writes events. It is safe for concurrent use.
type Recorder struct {
	store *store.Store
	now   func() time.Time

	mu    sync.Mutex
	last  int64 // the time in the last event's name
	names map[occurrence]string
	order []written // by their first time
}

// occurrence is what makes two events the same.
type occurrence struct {
	object                corev1.ObjectReference
	kind, reason, message string
}

// written is an event in the store.
type written struct {
	id   occurrence
	name string
}

// New returns a Recorder that writes into a store.
func New(s *store.Store, now func() time.Time) *Recorder {
	return &Recorder{store: s, now: now, names: map[occurrence]string{}}
}

// Record writes an event about an object. An event that cannot be written is no reason
// to stop, and one about a namespace's content ends with the namespace.
func (r *Recorder) Record(about corev1.ObjectReference, source corev1.EventSource, kind, reason, message string) {
	version := about.ResourceVersion
	about.ResourceVersion = "" // it changes with each status
	id := occurrence{about, kind, reason, message}
	at := metav1.NewTime(r.now())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.countUp(id, at) {
		return
	}
	if namespace, ok := store.Get[*corev1.Namespace](r.store, "", about.Namespace); !ok || namespace.DeletionTimestamp != nil {
		return
	}
	// Two in the same instant are two.
	r.last = max(at.UnixNano(), r.last+1)
	about.ResourceVersion = version
	stored, err := r.store.Create(&corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: about.Namespace, Name: fmt.Sprintf("%s.%x", about.Name, r.last)},
		InvolvedObject: about, Type: kind, Reason: reason, Message: message, Count: 1,
		FirstTimestamp: at, LastTimestamp: at, Source: source,
		ReportingController: source.Component, ReportingInstance: source.Host,
	})
	if err != nil {
		return
	}
	r.names[id] = stored.GetName()
	r.order = append(r.order, written{id, stored.GetName()})
	r.bound()
}

// countUp reports whether there is such an event, which is then one more.
func (r *Recorder) countUp(id occurrence, at metav1.Time) bool {
	name, ok := r.names[id]
	if !ok {
		return false
	}
	have, ok := store.Get[*corev1.Event](r.store, id.object.Namespace, name)
	if !ok {
		return false
	}
	next := have.DeepCopy()
	next.Count, next.LastTimestamp = next.Count+1, at
	_, _ = r.store.Update(next) // who has deleted it meanwhile does not want it
	return true
}

// bound forgets the oldest of too many events.
func (r *Recorder) bound() {
	for len(r.order) > Most {
		oldest := r.order[0]
		r.order = r.order[1:]
		_, _ = r.store.Delete(r.store.KindOf(&corev1.Event{}), oldest.id.object.Namespace, oldest.name, 0, nil)
		if r.names[oldest.id] == oldest.name {
			delete(r.names, oldest.id)
		}
	}
}

// Expire deletes old events, whoever has written them, and returns when to look again,
// 0 when there are none.
func Expire(s *store.Store, now time.Time) time.Duration {
	next := time.Duration(0)
	kind := s.KindOf(&corev1.Event{})
	for _, event := range store.List[*corev1.Event](s, "") {
		left := lastSeen(event).Add(Life).Sub(now)
		if left <= 0 {
			_, _ = s.Delete(kind, event.Namespace, event.Name, 0, nil)
		} else if next == 0 || left < next {
			next = left
		}
	}
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
