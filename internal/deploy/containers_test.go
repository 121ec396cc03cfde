package deploy

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
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
		if got := UserContainer(corev1.PodSpec{Containers: tt.containers}); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.containers, got, tt.want)
		}
	}
}

func TestTimeoutAllowsWhatTheStartupProbeAllows(t *testing.T) {
	for _, tt := range []struct {
		says  time.Duration
		probe *corev1.Probe
		want  time.Duration
	}{
		{0, nil, 5 * time.Minute},
		{0, &corev1.Probe{PeriodSeconds: 5, FailureThreshold: 40}, 5 * time.Minute},
		{0, &corev1.Probe{InitialDelaySeconds: 20, PeriodSeconds: 10, FailureThreshold: 58}, 11 * time.Minute},
		{0, &corev1.Probe{FailureThreshold: 60}, 11 * time.Minute},
		{time.Minute, &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 60}, time.Minute},
	} {
		svc := &servingv1.Service{}
		svc.Spec.Template.Spec.Containers = []corev1.Container{{}, {StartupProbe: tt.probe}}
		d := &deployer{opts: Options{Timeout: tt.says}, p: &plan{next: svc}}
		if got := d.timeout(); got != tt.want {
			t.Errorf("%v with %v: %v, want %v", tt.says, tt.probe, got, tt.want)
		}
	}
}
