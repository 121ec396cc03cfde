package store

import corev1 "k8s.io/api/core/v1"

// IsReady reports whether a pod says that it can serve. One that is being deleted may
// say so still.
func IsReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
