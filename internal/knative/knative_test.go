package knative

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Objects can be written around the defaulting webhook, and read before the
// first controller has seen them.
func TestSnapshotOfBareObjects(t *testing.T) {
	ten := int64(10)
	svc := &servingv1.Service{}
	svc.Name = "hello"
	svc.Spec.Traffic = []servingv1.TrafficTarget{{RevisionName: "hello-v1"}, {Tag: "next", Percent: &ten}}
	got := Snapshot(svc)
	want := &traffic.Snapshot{
		Name: "hello", Spec: traffic.Split{{Revision: "hello-v1"}, {Tag: "next", Percent: 10}}, Observed: traffic.Split{},
		Routed: traffic.Unknown, Ready: traffic.Unknown,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(traffic.Snapshot{}, "Origin", "Annotations")); diff != "" {
		t.Error(diff)
	}
	if got.Routes() || got.WhyNot() == "" {
		t.Error("a service without a status does not route")
	}
}

func TestRevision(t *testing.T) {
	bare := Revision(&servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Name: "r"}})
	if diff := cmp.Diff(traffic.Revision{Name: "r", State: traffic.Unknown}, bare); diff != "" {
		t.Error(diff)
	}
	rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{
		Name: "r", Labels: map[string]string{"serving.knative.dev/configurationGeneration": "7"}, Annotations: map[string]string{traffic.CommitKey: "abc"},
	}}
	rev.Spec.Containers = []corev1.Container{{Image: "sidecar"}, {Image: "main:tag", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}
	rev.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: corev1.ConditionFalse, Reason: "Why", Message: "because"}}
	want := traffic.Revision{Name: "r", Generation: 7, State: traffic.NotReady, Reason: "Why", Message: "because", Image: "main:tag", Commit: "abc"}
	if diff := cmp.Diff(want, Revision(rev)); diff != "" {
		t.Error(diff)
	}
	rev.Status.ContainerStatuses = []servingv1.ContainerStatus{{ImageDigest: "main@sha256:1"}}
	if got := Revision(rev).Image; got != "main@sha256:1" {
		t.Errorf("image %s: the resolved digest is known", got)
	}
}

// The digest of a sidecar is not the function's.
func TestRevisionsImageIsTheUsersContainer(t *testing.T) {
	rev := &servingv1.Revision{}
	rev.Spec.Containers = []corev1.Container{{Name: "envoy", Image: "envoy:1"}, {Name: "app", Image: "app:1", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}
	rev.Status.ContainerStatuses = []servingv1.ContainerStatus{{Name: "envoy", ImageDigest: "envoy@sha256:1"}, {Name: "app", ImageDigest: "app@sha256:2"}}
	if got := Revision(rev).Image; got != "app@sha256:2" {
		t.Error(got)
	}
	rev.Status.ContainerStatuses = rev.Status.ContainerStatuses[:1]
	if got := Revision(rev).Image; got != "app:1" {
		t.Errorf("not resolved yet: %s", got)
	}
}

func TestSplitAndTargetsAreInverse(t *testing.T) {
	in := traffic.Split{{Revision: "a", Percent: 40}, {Latest: true, Percent: 60, Tag: "t"}}
	if diff := cmp.Diff(in, Split(Targets(in))); diff != "" {
		t.Error(diff)
	}
	twice := traffic.Split{{Revision: "a", Percent: 40}, {Revision: "a", Percent: 60}}
	if got := Split(Targets(twice)).String(); got != "a=100" {
		t.Errorf("lines for the same place: %s", got)
	}
}

// A change leaves alone what it does not name, and the object that it is made from.
func TestApply(t *testing.T) {
	svc := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"team": "a", traffic.DeployKey: "{}"}}}
	svc.Spec.Traffic = Targets(traffic.Split{{Latest: true, Percent: 100}})
	before := svc.DeepCopy()
	got := Apply(svc, traffic.Change{}.Remove(traffic.DeployKey))
	if diff := cmp.Diff(map[string]string{"team": "a"}, got.Annotations); diff != "" || !Spec(got).Equal(Spec(svc)) {
		t.Errorf("%s, split %s", diff, Spec(got))
	}
	next := traffic.Split{{Revision: "a", Percent: 100}}
	if got := Apply(svc, Snapshot(svc).Replace(next, time.Now())); !Spec(got).Equal(next) || got.Annotations[traffic.HistoryKey] == "" || got.Annotations["team"] != "a" {
		t.Errorf("%s %v", Spec(got), got.Annotations)
	}
	if diff := cmp.Diff(before, svc); diff != "" {
		t.Errorf("the original was changed: %s", diff)
	}
}
