package autoscale

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/pkg/ptr"
	"knative.dev/serving/pkg/apis/autoscaling"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// What an autoscaler has come to is not for the revision that has taken the place and
// the name of its own.
func TestSuccessorsAreLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		owner types.UID
		want  int32
	}{"its own": {"old", 2}, "of a successor": {"new", 5}} {
		s, err := store.Open("")
		if err != nil {
			t.Fatal(err)
		}
		meta := func(name string, owner types.UID) metav1.ObjectMeta {
			return metav1.ObjectMeta{
				Namespace: "default", Name: name, Annotations: map[string]string{
					autoscaling.ClassAnnotationKey: autoscaling.KPA, autoscaling.MinScaleAnnotationKey: "2", autoscaling.MaxScaleAnnotationKey: "2",
				},
				OwnerReferences: []metav1.OwnerReference{{UID: owner, Controller: ptr.Bool(true)}},
			}
		}
		deployment := &appsv1.Deployment{ObjectMeta: meta("hello-deployment", c.owner)}
		deployment.Spec.Replicas = ptr.Int32(5)
		pa := &autoscalingv1alpha1.PodAutoscaler{ObjectMeta: meta("hello", "old")}
		pa.Spec.ScaleTargetRef = corev1.ObjectReference{Name: "hello-deployment"}
		for _, object := range []store.Object{deployment, pa} {
			if _, err := s.Create(object); err != nil {
				t.Fatal(err)
			}
		}
		a, err := New(Options{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		a.reconcile(key{"default", "hello"}, time.Now())
		found, _ := store.Get[*appsv1.Deployment](s, "default", "hello-deployment")
		if *found.Spec.Replicas != c.want {
			t.Errorf("%s: %d replicas, want %d", name, *found.Spec.Replicas, c.want)
		}
	}
}
