package deploy

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

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
