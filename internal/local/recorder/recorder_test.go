package recorder_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/recorder"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// bench is a recorder on a clock that only the test moves.
type bench struct {
	*recorder.Recorder
	store *store.Store
	now   time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	b := &bench{store: s, now: time.Now()}
	b.Recorder = recorder.New(s, func() time.Time { return b.now })
	return b
}

func (b *bench) record(namespace, message string) {
	b.Record(corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: "pod", ResourceVersion: fmt.Sprint(b.now.UnixNano())},
		corev1.EventSource{Component: "kubelet", Host: "here"}, corev1.EventTypeWarning, "Failed", message)
}

func (b *bench) events() []*corev1.Event { return store.List[*corev1.Event](b.store, "") }

func TestRepeatedEventsAreCounted(t *testing.T) {
	b := newBench(t)
	b.record("default", "a")
	b.record("default", "b") // in the same instant
	b.now = b.now.Add(50 * time.Minute)
	b.record("default", "a")
	counts := map[string]int32{}
	for _, e := range b.events() {
		counts[e.Message] = e.Count
		if e.Source.Component != "kubelet" || e.ReportingController != "kubelet" || e.ReportingInstance != "here" || e.InvolvedObject.ResourceVersion == "" {
			t.Errorf("%+v", e)
		}
	}
	if len(counts) != 2 || counts["a"] != 2 || counts["b"] != 1 {
		t.Errorf("counted %v", counts)
	}

	// Only what was not seen for an hour goes.
	if left := recorder.Expire(b.store, b.now.Add(20*time.Minute)); left < time.Minute || len(b.events()) != 1 {
		t.Errorf("%d events, the next look is in %v", len(b.events()), left)
	}
	if left := recorder.Expire(b.store, b.now.Add(2*recorder.Life)); left != 0 || len(b.events()) != 0 {
		t.Errorf("%d events, the next look is in %v", len(b.events()), left)
	}
	b.record("default", "a") // one that is gone begins anew
	if all := b.events(); len(all) != 1 || all[0].Count != 1 {
		t.Errorf("%+v", all)
	}
}

func TestEventsAreBounded(t *testing.T) {
	b := newBench(t)
	for i := range recorder.Most + 10 {
		b.record("default", fmt.Sprint(i))
	}
	if n := len(b.events()); n != recorder.Most {
		t.Errorf("there are %d", n)
	}
	b.record("default", "0") // was the oldest
	if all := b.events(); len(all) != recorder.Most {
		t.Errorf("there are %d", len(all))
	}
}

// A namespace that ends is not held up by events about its end.
func TestNoEventsInANamespaceThatEnds(t *testing.T) {
	b := newBench(t)
	namespace, _ := store.Get[*corev1.Namespace](b.store, "", "default")
	next := namespace.DeepCopy()
	next.Finalizers = []string{"kubernetes"}
	if _, err := b.store.Update(next); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Delete(b.store.KindOf(namespace), "", "default", 0, nil); err != nil {
		t.Fatal(err)
	}
	b.record("default", "a")
	b.record("none", "a")
	if all := b.events(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
