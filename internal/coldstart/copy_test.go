package coldstart

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// The copy runs what the revision runs, may be at zero, and has nothing that Knative
// or a tool has noted about that very revision.
func TestCopy(t *testing.T) {
	svc := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{
		Name: "fn", Namespace: "demo", UID: "u-1",
		Labels: map[string]string{visibility: "cluster-local", "team": "a"},
	}}
	rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{
		Name:   "fn-v3",
		Labels: map[string]string{"serving.knative.dev/service": "fn", "app": "fn-v3", "team": "a"},
		Annotations: map[string]string{
			"autoscaling.knative.dev/min-scale": "3", "autoscaling.knative.dev/initial-scale": "3", "autoscaling.knative.dev/minScale": "2",
			"autoscaling.knative.dev/target": "7", "serving.knative.dev/creator": "ada", "kn-lite.dev/commit": "1a2b",
			"client.knative.dev/user-image": "fn:1", "queue.sidecar.serving.knative.dev/cpu-resource-request": "20m", "sidecar.istio.io/inject": "true",
		},
	}}
	rev.Spec.Containers = []corev1.Container{{Image: "registry.example/fn@sha256:" + strings.Repeat("1", 64)}}
	got := Copy(svc, rev, "fn-cold-abcde")
	if diff := cmp.Diff(rev.Spec, got.Spec.Template.Spec); diff != "" {
		t.Errorf("its spec: %s", diff)
	}
	if diff := cmp.Diff(map[string]string{"team": "a"}, got.Spec.Template.Labels); diff != "" {
		t.Errorf("its labels: %s", diff)
	}
	if diff := cmp.Diff(map[string]string{
		"autoscaling.knative.dev/min-scale": "0", "autoscaling.knative.dev/window": "6s", "autoscaling.knative.dev/scale-down-delay": "0s",
		"autoscaling.knative.dev/scale-to-zero-pod-retention-period": "0s", "autoscaling.knative.dev/target-burst-capacity": "-1",
		"autoscaling.knative.dev/target": "7", "queue.sidecar.serving.knative.dev/cpu-resource-request": "20m", "sidecar.istio.io/inject": "true",
	}, got.Spec.Template.Annotations); diff != "" {
		t.Errorf("its annotations: %s", diff)
	}
	if diff := cmp.Diff(map[string]string{visibility: "cluster-local", CopyLabel: "fn"}, got.Labels); diff != "" {
		t.Errorf("the service's labels: %s", diff)
	}
	if len(got.OwnerReferences) != 1 || got.OwnerReferences[0].UID != "u-1" {
		t.Errorf("it does not go with the service: %v", got.OwnerReferences)
	}
	got.SetDefaults(context.Background())
	if err := got.Validate(context.Background()).Filter(apis.ErrorLevel); err != nil {
		t.Errorf("Knative refuses it: %v", err)
	}
	if rev.Annotations["autoscaling.knative.dev/min-scale"] != "3" {
		t.Error("the revision was changed")
	}
}

func TestCopyName(t *testing.T) {
	for service, want := range map[string]string{
		"fn":                            "fn-cold-abcde",
		strings.Repeat("x", 63):         strings.Repeat("x", 36) + "-cold-abcde",
		strings.Repeat("x", 35) + "-yz": strings.Repeat("x", 35) + "-cold-abcde",
	} {
		if got := CopyName(service, "abcde"); got != want {
			t.Errorf("%s: %s", service, got)
		}
	}
}

func TestScales(t *testing.T) {
	for class, want := range map[string]bool{"": true, "kpa.autoscaling.knative.dev": true, "hpa.autoscaling.knative.dev": false, "keda.example": false} {
		rev := &servingv1.Revision{}
		if class != "" {
			rev.Annotations = map[string]string{"autoscaling.knative.dev/class": class}
		}
		if Scales(rev) != want {
			t.Errorf("%q: %v", class, !want)
		}
	}
}
