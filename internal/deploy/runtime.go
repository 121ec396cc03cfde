package deploy

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// visibilityLabel on a service keeps it inside its cluster
// (knative.dev/networking, pkg/apis/networking/register.go).
const (
	visibilityLabel = "networking.knative.dev/visibility"
	clusterLocal    = "cluster-local"
)

// startBudget is what a program gets for its start where the project does not say:
// as long as deploy itself waits.
const startBudget = defaultTimeout

// startupProbe asks the liveness endpoint each second until it answers for the first
// time. Only then the liveness probe begins, which would otherwise end a program that
// starts for longer than its threshold, again and again.
func (e *editor) startupProbe(p *Project) *corev1.Probe {
	budget := p.StartBudget
	if budget == 0 {
		budget = startBudget
	}
	// Unlike that of the other probes, Knative does not fill in this one's port.
	port := int32(servingv1.DefaultUserPort)
	if len(e.container.Ports) > 0 && e.container.Ports[0].ContainerPort != 0 {
		port = e.container.Ports[0].ContainerPort
	}
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: p.Liveness, Port: intstr.FromInt32(port)}},
		PeriodSeconds:    1,
		FailureThreshold: int32(max(1, budget/time.Second)),
	}
}

// runAs goes to the container: Knative allows these fields there and, unless a
// cluster switches that on, none of them on the pod.
func (e *editor) runAs(r RunAs) {
	if r == (RunAs{}) {
		return
	}
	if e.container.SecurityContext == nil {
		e.container.SecurityContext = &corev1.SecurityContext{}
	}
	s := e.container.SecurityContext
	s.RunAsUser, s.RunAsGroup, s.RunAsNonRoot = r.User, r.Group, r.NonRoot
}
