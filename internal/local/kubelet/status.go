package kubelet

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// nodeName is the one machine that there is.
	nodeName = "kn-lite"
	hostIP   = "127.0.0.1"

	containerCreating = "ContainerCreating"
	podInitializing   = "PodInitializing"
)

// podStatus works out a pod's status from those of its containers. Conditions
// that stay as they were in p keep their time.
func podStatus(p *corev1.Pod, sandbox bool, inits, containers []corev1.ContainerStatus) corev1.PodStatus {
	s := p.Status
	if s.StartTime == nil {
		now := metav1.Now()
		s.StartTime = &now
	}
	s.HostIP, s.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	if sandbox {
		s.PodIP, s.PodIPs = hostIP, []corev1.PodIP{{IP: hostIP}}
	}
	s.QOSClass = qos(p)
	s.InitContainerStatuses, s.ContainerStatuses = inits, containers
	s.Phase = phase(p, inits, containers)
	conditions := []corev1.PodCondition{
		yes(corev1.PodReadyToStartContainers, sandbox, "", ""),
		initialized(inits),
		ready(corev1.PodReady, s.Phase, containers),
		ready(corev1.ContainersReady, s.Phase, containers),
		yes(corev1.PodScheduled, true, "", ""),
	}
	s.Conditions = merge(p.Status.Conditions, conditions)
	return s
}

func yes(kind corev1.PodConditionType, status bool, reason, message string) corev1.PodCondition {
	c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue}
	if !status {
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, reason, message
	}
	return c
}

func initialized(inits []corev1.ContainerStatus) corev1.PodCondition {
	var missing []string
	for _, s := range inits {
		done := s.State.Terminated != nil && s.State.Terminated.ExitCode == 0
		if !done {
			missing = append(missing, s.Name)
		}
	}
	return yes(corev1.PodInitialized, len(missing) == 0, "ContainersNotInitialized", fmt.Sprintf("containers with incomplete status: %v", missing))
}

func ready(kind corev1.PodConditionType, phase corev1.PodPhase, containers []corev1.ContainerStatus) corev1.PodCondition {
	if phase == corev1.PodSucceeded {
		return yes(kind, false, "PodCompleted", "")
	}
	var unready []string
	for _, s := range containers {
		if !s.Ready {
			unready = append(unready, s.Name)
		}
	}
	return yes(kind, len(unready) == 0, "ContainersNotReady", fmt.Sprintf("containers with unready status: %v", unready))
}

// merge takes the time of a condition whose status is as before from the old ones,
// and keeps conditions that are not the kubelet's.
func merge(old, next []corev1.PodCondition) []corev1.PodCondition {
	for i, c := range next {
		next[i].LastTransitionTime = metav1.Now()
		at := slices.IndexFunc(old, func(o corev1.PodCondition) bool { return o.Type == c.Type })
		if at >= 0 && old[at].Status == c.Status {
			next[i].LastTransitionTime = old[at].LastTransitionTime
		}
	}
	for _, o := range old {
		if !slices.ContainsFunc(next, func(c corev1.PodCondition) bool { return c.Type == o.Type }) {
			next = append(next, o)
		}
	}
	return next
}

// phase is Running from the time on at which all containers have run once.
func phase(p *corev1.Pod, inits, containers []corev1.ContainerStatus) corev1.PodPhase {
	for _, s := range inits {
		t := s.State.Terminated
		switch {
		case t == nil, t.ExitCode != 0 && p.Spec.RestartPolicy != corev1.RestartPolicyNever:
			return corev1.PodPending
		case t.ExitCode != 0:
			return corev1.PodFailed
		}
	}
	ended, failed := 0, 0
	for _, s := range containers {
		switch {
		case s.State.Running == nil && s.State.Terminated == nil && s.LastTerminationState.Terminated == nil:
			return corev1.PodPending
		case s.State.Terminated != nil:
			ended++
			if s.State.Terminated.ExitCode != 0 {
				failed++
			}
		}
	}
	final := p.DeletionTimestamp != nil || p.Spec.RestartPolicy == corev1.RestartPolicyNever || p.Spec.RestartPolicy == corev1.RestartPolicyOnFailure && failed == 0
	switch {
	case !final || ended < len(containers):
		return corev1.PodRunning
	case failed > 0:
		return corev1.PodFailed
	}
	return corev1.PodSucceeded
}

// qos is the class that Kubernetes gives to a pod for its requests and limits.
func qos(p *corev1.Pod) corev1.PodQOSClass {
	if p.Status.QOSClass != "" {
		return p.Status.QOSClass
	}
	some, all := false, true
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			limit, request := c.Resources.Limits[name], c.Resources.Requests[name]
			some = some || !limit.IsZero() || !request.IsZero()
			all = all && !limit.IsZero() && (request.IsZero() || request.Cmp(limit) == 0)
		}
	}
	switch {
	case !some:
		return corev1.PodQOSBestEffort
	case all:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

// refTo names a container of a pod as events do.
func refTo(p *corev1.Pod, fieldPath string) corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID, FieldPath: fieldPath,
	}
}

// described is how a cluster's messages name a pod.
func described(p *corev1.Pod) string {
	return fmt.Sprintf("%s_%s(%s)", p.Name, p.Namespace, p.UID)
}
