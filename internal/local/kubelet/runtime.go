// Package kubelet makes pods true: it starts the containers of the store's pods,
// watches over them with their probes, and writes what it sees into their status.
package kubelet

import "github.com/kn-lite/kn-lite/internal/local/pod"

// What the kubelet wants of a runtime.
type (
	Runtime   = pod.Runtime
	Image     = pod.Image
	Sandbox   = pod.Sandbox
	Container = pod.Container
	Mount     = pod.Mount
	Process   = pod.Process
)

// Mortal is a Sandbox that says when it has ended, with everything in it, before it
// was closed.
type Mortal interface {
	Done() <-chan struct{}
}
