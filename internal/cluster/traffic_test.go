package cluster

import (
	"testing"

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
	got := SnapshotOf(svc)
	want := &traffic.Snapshot{
		Name: "hello", Spec: traffic.Split{{Revision: "hello-v1"}, {Tag: "next", Percent: 10}}, Observed: traffic.Split{},
		Routed: traffic.Unknown, Ready: traffic.Unknown,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(traffic.Snapshot{}, "Origin")); diff != "" {
		t.Error(diff)
	}
	if got.Routes() || got.WhyNot() == "" {
		t.Error("a service without a status does not route")
	}
}

func TestRevisionOf(t *testing.T) {
	bare := RevisionOf(&servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Name: "r"}})
	if diff := cmp.Diff(traffic.Revision{Name: "r", State: traffic.Unknown}, bare); diff != "" {
		t.Error(diff)
	}
	rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{
		Name: "r", Labels: map[string]string{"serving.knative.dev/configurationGeneration": "7"}, Annotations: map[string]string{CommitKey: "abc"},
	}}
	rev.Spec.Containers = []corev1.Container{{Image: "sidecar"}, {Image: "main:tag", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}
	rev.Status.Conditions = duckv1.Conditions{{Type: apis.ConditionReady, Status: corev1.ConditionFalse, Reason: "Why", Message: "because"}}
	want := traffic.Revision{Name: "r", Generation: 7, State: traffic.NotReady, Reason: "Why", Message: "because", Image: "main:tag", Commit: "abc"}
	if diff := cmp.Diff(want, RevisionOf(rev)); diff != "" {
		t.Error(diff)
	}
	rev.Status.ContainerStatuses = []servingv1.ContainerStatus{{ImageDigest: "main@sha256:1"}}
	if got := RevisionOf(rev).Image; got != "main@sha256:1" {
		t.Errorf("image %s: the resolved digest is known", got)
	}
}

func TestWriteSplitWantsItsOwnSnapshot(t *testing.T) {
	if _, err := (splits{}).WriteSplit(t.Context(), &traffic.Snapshot{Name: "hello"}, nil, ""); err == nil {
		t.Error("a snapshot from nowhere was written")
	}
}
