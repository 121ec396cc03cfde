// Package kubelet makes pods true: it starts the containers of the store's pods,
// watches over them with their probes, and writes what it sees into their status.
package kubelet

import "github.com/kn-lite/kn-lite/internal/local/pod"

// The contract of package pod, by the names that the kubelet uses.
type (
	// Runtime starts the containers of pods.
	Runtime = pod.Runtime
	// Image is one that has been pulled.
	Image = pod.Image
	// Sandbox is what the containers of a pod share.
	Sandbox = pod.Sandbox
	// Container says what to start.
	Container = pod.Container
	// Mount is a volume in a container.
	Mount = pod.Mount
	// Process is a container that runs.
	Process = pod.Process
)

// Mortal is a Sandbox that says when it has ended, with everything in it, before it
// was closed.
type Mortal interface {
	Done() <-chan struct{}
}
