package cli

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// reachLocal adds what a client needs for the platform's registry, while it runs.
func (f *Factory) reachLocal(opts *registry.Options) error {
	info, err := f.localPlace().Running()
	if err != nil || info == nil {
		return err
	}
	opts.Auths = append(opts.Auths, info.RegistryAuth())
	opts.Mirrors = info.Mirrors(opts.Mirrors)
	return nil
}

// clusterOrLocal is clusterFor for who wants to deploy: where there is no cluster
// anywhere, it offers to start the platform of this machine.
func (f *Factory) clusterOrLocal(ctx context.Context, project *function.Function) (*cluster.Client, error) {
	client, err := f.clusterFor(project)
	if fault.KindOf(err) != fault.NotFound || f.Flags.Kubeconfig != "" || f.Flags.Context != "" || !f.IO.CanPrompt() {
		return client, err
	}
	start, askErr := f.IO.Confirm("There is no cluster. Start the platform of this machine, as `kn-lite local up -d` does?")
	if askErr != nil || !start {
		return nil, err
	}
	o := &localUpOptions{Port: local.DefaultPort, APIPort: local.DefaultAPIPort, Network: local.NetworkOpen}
	if err := f.localDetached(ctx, f.localPlace(), o, f.tellLocal); err != nil {
		return nil, err
	}
	return f.clusterFor(project)
}
