package knative

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestUserContainer(t *testing.T) {
	port := []corev1.ContainerPort{{ContainerPort: 8080}}
	proxy := corev1.Container{Name: QueueProxy, Ports: port}
	for _, tt := range []struct {
		containers []corev1.Container
		want       string
	}{
		{[]corev1.Container{proxy, {Name: "user-container", Ports: port}}, "user-container"},
		{[]corev1.Container{{Name: "sidecar"}, {Name: "app", Ports: port}, proxy}, "app"},
		// Two without names: Knative numbers the sidecar.
		{[]corev1.Container{{Name: "user-container-0"}, {Name: "user-container", Ports: port}, proxy}, "user-container"},
		{[]corev1.Container{{Name: "app"}}, "app"},
		{nil, "user-container"},
	} {
		if got := UserContainerName(corev1.PodSpec{Containers: tt.containers}); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.containers, got, tt.want)
		}
	}
}
