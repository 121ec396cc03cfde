package cli

import (
	"context"
	"net"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/loopback"
	"github.com/kn-lite/kn-lite/internal/registry/server"
)

// registryServed is what -o json shows, once the registry listens.
type registryServed struct {
	header
	Address string `json:"address"` // host:port
}

type registryServeOptions struct {
	Address string
	Names   []string
}

func newRegistryServeCmd(f *Factory, runF func(context.Context, *registryServeOptions) error) *cobra.Command {
	o := &registryServeOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a registry on this machine, to try things out",
		Long: `Serve is a registry until Ctrl-C. It asks nobody for credentials and forgets
everything at its end. Layers are on disk, in the folder for temporary files. It
answers to localhost, to addresses in numbers and to what --name names, and to no
page of another origin. Its address is the answer on stdout, as soon as it listens.`,
		Example: `  # In one terminal
  kn-lite registry serve

  # In another one
  kn-lite build --push --image 127.0.0.1:5000/hello`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runner(f, runF, bounded(runRegistryServe))(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Address, "address", "127.0.0.1:5000", "`HOST:PORT` to listen at; port 0 is any free one")
	cmd.Flags().StringSliceVar(&o.Names, "name", nil, "another host `NAME` that it answers to, besides localhost and addresses in numbers (repeatable)")
	return cmd
}

func runRegistryServe(ctx context.Context, f *Factory, o *registryServeOptions) error {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return fault.Usagef("--address %s: %v", o.Address, err).WithHint("it is HOST:PORT, e.g. 127.0.0.1:5000")
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Address)
	if err != nil {
		return fault.New(fault.Failure, "registry.serve", o.Address, "%w", err).WithHint("another port: --address %s", net.JoinHostPort(host, "0"))
	}
	at := listener.Addr().String()
	if !loopback.IsHost(at) {
		f.IO.Warn("whoever reaches %s may read and write in this registry", at)
	}
	f.IO.Note("a registry listens at %s until Ctrl-C", at)
	err = f.print(answer{
		Object: registryServed{head("RegistryServed"), at},
		Names:  []string{at},
		Table:  func() error { return f.IO.Answer("%s", at) },
	})
	if err != nil {
		return err
	}
	return server.Serve(ctx, listener, server.Options{Temp: f.Sys.Env("TMPDIR"), Names: o.Names})
}
