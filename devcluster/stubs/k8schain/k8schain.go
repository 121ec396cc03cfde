// Package k8schain finds registry credentials for the digest resolver of
// Knative's controller: pull secrets and docker's own configuration. The
// upstream package adds the metadata services of three clouds, with an SDK each.
package k8schain

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"
	kauth "github.com/google/go-containerregistry/pkg/authn/kubernetes"
	"k8s.io/client-go/kubernetes"
)

// Options says whose pull secrets count.
type Options = kauth.Options

// New returns a keychain that reads opt's pull secrets through client.
func New(ctx context.Context, client kubernetes.Interface, opt Options) (authn.Keychain, error) {
	k8s, err := kauth.New(ctx, client, opt)
	if err != nil {
		return nil, err
	}
	return authn.NewMultiKeychain(k8s, authn.DefaultKeychain), nil
}
