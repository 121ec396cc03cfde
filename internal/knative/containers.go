package knative

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// QueueProxy is the name of Knative's own container in every pod.
const QueueProxy = "queue-proxy"

// userContainer is the name that Knative gives to a container without one.
const userContainer = "user-container"

// UserContainer returns the container that gets the requests, in place; nil when
// there is none. It is the only one besides queue-proxy that may have a port
// (Knative runtime contract, "multiple containers"). The others are its sidecars.
func UserContainer(containers []corev1.Container) *corev1.Container {
	for _, is := range []func(corev1.Container) bool{
		func(c corev1.Container) bool { return len(c.Ports) > 0 },
		func(c corev1.Container) bool { return c.Name == userContainer },
		func(corev1.Container) bool { return true },
	} {
		i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name != QueueProxy && is(c) })
		if i >= 0 {
			return &containers[i]
		}
	}
	return nil
}

// UserContainerName returns the name of the container that gets the requests.
func UserContainerName(spec corev1.PodSpec) string {
	if c := UserContainer(spec.Containers); c != nil {
		return c.Name
	}
	return userContainer
}
