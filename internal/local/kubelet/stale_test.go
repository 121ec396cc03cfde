package kubelet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
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

func TestLogsOfAPodThatIsVeryNew(t *testing.T) {
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	k := New(Options{Store: s, Runtime: &runtimetest.Fake{Dir: t.TempDir()}, Dir: t.TempDir()})
	if _, err := s.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}}); err != nil {
		t.Fatal(err)
	}
	_, err = k.Logs(t.Context(), "default", "pod", &corev1.PodLogOptions{})
	if want := `container "main" in pod "pod" is waiting to start: ContainerCreating`; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

func TestFolderOfAnEarlierRun(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "default_pod_uid", "main")
	if err := os.MkdirAll(old, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := New(Options{Dir: dir}).clean(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := New(Options{Dir: file}).clean(); err == nil || fault.HintOf(err) == "" || !strings.Contains(err.Error(), file) {
		t.Errorf("the error is %v", err)
	}
}
