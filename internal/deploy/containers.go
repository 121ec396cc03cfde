package deploy

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// QueueProxy is the name of Knative's own container in every pod.
const QueueProxy = "queue-proxy"

// userContainer is the name that Knative gives to a container without one.
const userContainer = "user-container"

// UserContainer returns the name of the container that gets the requests: the only
// one besides queue-proxy that may have a port (Knative runtime contract, "multiple
// containers"). The others are its sidecars.
func UserContainer(spec corev1.PodSpec) string {
	for _, is := range []func(corev1.Container) bool{
		func(c corev1.Container) bool { return len(c.Ports) > 0 },
		func(c corev1.Container) bool { return c.Name == userContainer },
		func(corev1.Container) bool { return true },
	} {
		i := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name != QueueProxy && is(c) })
		if i >= 0 {
			return spec.Containers[i].Name
		}
	}
	return userContainer
}
