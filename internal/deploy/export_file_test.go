package deploy

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// TestExport: nothing that a server or a tool has noted is in the file, and the service
// itself stays as it is.
func TestExport(t *testing.T) {
	svc := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{
		Name: "fn", Namespace: "demo", UID: "1", ResourceVersion: "7", Generation: 3, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0)),
		Finalizers: []string{"example.com/x"}, OwnerReferences: []metav1.OwnerReference{{Name: "parent"}},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		Annotations: map[string]string{
			lastApplied: "{}", "serving.knative.dev/creator": "me", "serving.knative.dev/lastModifier": "me",
			"kn-lite.dev/history": "[]", "serving.knative.dev/rollout-duration": "2m", "example.com/team": "a",
		},
	}}
	svc.Annotations[traffic.ProjectKey] = "[]"
	svc.Labels = map[string]string{managedByKey: "kn-lite", "team": "a"}
	svc.Spec.Template.Name = "fn-v3"
	svc.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/max-scale": "3", UserImageKey: "fn:latest"}
	svc.Spec.Traffic = []servingv1.TrafficTarget{{RevisionName: "fn-v2"}}
	before := svc.DeepCopy()
	for _, tt := range []struct {
		traffic bool
		want    string
	}{
		{false, ""},
		{true, "  traffic:\n  - revisionName: fn-v2\n"},
	} {
		text, err := yaml.Marshal(Export(svc, tt.traffic))
		if err != nil {
			t.Fatal(err)
		}
		want := `apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  annotations:
    example.com/team: a
    serving.knative.dev/rollout-duration: 2m
  labels:
    team: a
  name: fn
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/max-scale: "3"
` + tt.want
		if string(text) != want {
			t.Errorf("got\n%s\nwant\n%s", text, want)
		}
	}
	if svc.Annotations[lastApplied] != before.Annotations[lastApplied] || svc.Spec.Template.Name != "fn-v3" {
		t.Error("the service was changed")
	}
}
