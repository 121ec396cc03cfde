// Package parts compiles and caches everything a devcluster is made of: the
// multi-call Kubernetes binary, the ingress binary and the Knative images.
//
// Nothing here talks to a cluster. Ensure turns module sources into files in a
// cache directory; Push moves the images among them into a registry.
package parts

// Set names the compiled parts of one devcluster. All paths are absolute and
// lie in the cache directory that was given to Ensure.
type Set struct {
	// Node is the devcluster-node multi-call binary: `Node kube-apiserver …`.
	Node string
	// Traefik is the ingress controller's binary, started as `Traefik traefik …`.
	// It may be the same file as Node.
	Traefik string
	// Images are the container images the cluster pulls, in name order.
	Images []Image
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
