module github.com/google/go-containerregistry/pkg/authn/k8schain

go 1.25.0

require (
	github.com/google/go-containerregistry v0.21.9
	github.com/google/go-containerregistry/pkg/authn/kubernetes v0.0.0-20250115185438-c4dd792fa06c
	k8s.io/client-go v0.35.4
)
