package cli

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// reachLocal adds what a client needs for the platform's registry, while it runs.
func reachLocal(f *Factory, opts *registry.Options) error {
	info, err := f.localPlace().Running()
	if err != nil || info == nil {
		return err
	}
	opts.Auths = append(opts.Auths, info.RegistryAuth())
	opts.Mirrors = info.Mirrors(opts.Mirrors)
	return nil
}

// offerLocal returns what a deploy does where there is no cluster anywhere: it offers
// to start the platform of this machine. nil where nobody can be asked, or another
// cluster was named.
func offerLocal(f *Factory) func(context.Context) (bool, error) {
	if f.Flags.Kubeconfig != "" || f.Flags.Context != "" || !f.IO.CanPrompt() {
		return nil
	}
	return func(ctx context.Context) (bool, error) {
		start, err := f.IO.Confirm(ctx, "There is no cluster. Start the platform of this machine, as `kn-lite local up -d` does?")
		if err != nil || !start {
			return false, ctx.Err() // else that there is no cluster is what there is to say
		}
		o := &localUpOptions{Port: local.DefaultPort, APIPort: local.DefaultAPIPort, Network: local.NetworkOpen}
		return true, localDetached(ctx, f, f.localPlace(), o, func(info *local.Info) error { return tellLocal(f.IO, info) })
	}
}
