// Package manifests turns the YAML that Knative Serving publishes into the
// objects of one devcluster. It is a pure function of its inputs: no cluster,
// no registry and no clock is asked.
package manifests

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// Input is all that the objects of one devcluster depend on.
type Input struct {
	// Serving, Networking and Caching are the folders of the knative.dev/serving,
	// knative.dev/networking and knative.dev/caching modules; parts.Modules finds them.
	Serving, Networking, Caching string
	// Images maps an image's name ("serving/controller") to its pushed digest
	// reference, as parts.Push returns it.
	Images map[string]string
	// Domain is the suffix of service URLs, "127.0.0.1.sslip.io" when empty.
	Domain string
	// IngressAddress is the IP that Traefik listens on: the node's address.
	IngressAddress string
	// PublicPort and PrivatePort are Traefik's two entry points there,
	// 80 and 8081 when zero.
	PublicPort, PrivatePort int
}

// Knative returns the objects in the order in which they are to be applied:
// namespaces and CRDs first (wait for their Established condition), then the
// rest. It reports a manifest that cannot be read or an image nobody pushed.
func Knative(in Input) ([]unstructured.Unstructured, error) {
	return nil, nil
}
