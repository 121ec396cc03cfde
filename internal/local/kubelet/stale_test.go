package kubelet

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/test/runtimetest"
)

// A watch is a little behind: what it shows of a pod that has ended meanwhile must
// not begin it again.
func TestWatchThatIsBehind(t *testing.T) {
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	k := New(Options{Store: s, Runtime: &runtimetest.Fake{Dir: t.TempDir()}, Dir: t.TempDir()})
	create := func() *corev1.Pod {
		made, err := s.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod"}})
		if err != nil {
			t.Fatal(err)
		}
		return made.(*corev1.Pod)
	}
	kind := s.KindOf(&corev1.Pod{})
	ended := create()
	if _, err := s.Delete(kind, "default", "pod", 0, nil); err != nil {
		t.Fatal(err)
	}
	k.sync(ended)
	create()
	k.sync(ended)
	if len(k.workers) > 0 {
		t.Error("a pod that has ended was begun again")
	}
	// One that is deleted before it was seen has nothing to end.
	ending, err := s.Delete(kind, "default", "pod", 30, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.sync(ending.(*corev1.Pod))
	if _, there := s.Get(kind, "default", "pod"); there || len(k.workers) > 0 {
		t.Error("a pod that was deleted before it began is still there")
	}
}
