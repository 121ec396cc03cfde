// Package parts compiles and caches everything a devcluster is made of: the
// multi-call Kubernetes binary, the container images of Knative Serving and the
// YAML that belongs to them.
//
// The first compile is the long part of a first `up`. Measured on two shared
// cores: 16 minutes of CPU time, 12 by the clock, of which Kubernetes alone is 12
// and 7. The same programs built one by one with their stock main functions take
// 35. What makes the difference: one module, so that shared packages compile
// once; stand-ins for what Traefik names but never runs here (see stubs); no
// DWARF; a CoreDNS with eight plugins; fewer garbage collections in the compiler.
//
// Nothing here talks to a cluster. Ensure turns module sources into files in a
// cache directory; Push moves the images among them into a registry.
package parts

import "path/filepath"

// Module is the path of the module whose commands Ensure compiles.
const Module = "github.com/kn-lite/kn-lite/devcluster"

// KubernetesVersion is the version the compiled programs report.
const KubernetesVersion = "v1.35.4"

// Set names the compiled parts of one devcluster. All paths are absolute and
// lie in the cache directory that was given to Ensure.
type Set struct {
	// Node is the devcluster-node multi-call binary: `Node kube-apiserver …`.
	Node string
	// Traefik is the ingress controller's binary, started as `Traefik traefik …`.
	// It is the same file as Node.
	Traefik string
	// Images are the container images the cluster pulls, in name order.
	Images []Image
	// Manifests is the folder of upstream YAML that manifests.Knative reads.
	Manifests string
}

// Image is one single-platform container image in the cache.
type Image struct {
	// Name is the repository below the registry host, such as "serving/controller".
	Name string
	// Layout is a directory in OCI image layout that holds exactly this image.
	Layout string
	// Digest is the manifest's digest, "sha256:…".
	Digest string
}

// Names of the images in a Set.
const (
	PauseImage      = "pause"
	HelloworldImage = "test/helloworld" // Knative's own load-test function
)

// imageSpec says which command makes which image.
type imageSpec struct {
	name string
	pkg  string // import path of the command
}

// program is the file that `go build` writes for the command.
func (s imageSpec) program() string { return filepath.Base(s.pkg) }

func imageSpecs() []imageSpec {
	return []imageSpec{
		{PauseImage, Module + "/cmd/devcluster-pause"},
		{"serving/activator", "knative.dev/serving/cmd/activator"},
		{"serving/autoscaler", "knative.dev/serving/cmd/autoscaler"},
		{"serving/controller", "knative.dev/serving/cmd/controller"},
		{"serving/queue", "knative.dev/serving/cmd/queue"},
		{"serving/webhook", "knative.dev/serving/cmd/webhook"},
		{HelloworldImage, "knative.dev/serving/test/test_images/helloworld"},
	}
}
