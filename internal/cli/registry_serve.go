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
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Address    string `json:"address"` // host:port
}

func newRegistryServeCmd(f *Factory) *cobra.Command {
	var address string
	var names []string
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
			return runRegistryServe(cmd.Context(), f, address, names)
		},
	}
	cmd.Flags().StringVar(&address, "address", "127.0.0.1:5000", "`HOST:PORT` to listen at; port 0 is any free one")
	cmd.Flags().StringSliceVar(&names, "name", nil, "another host `NAME` that it answers to, besides localhost and addresses in numbers (repeatable)")
	return cmd
}

func runRegistryServe(ctx context.Context, f *Factory, address string, names []string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fault.Usagef("--address %s: %v", address, err).WithHint("it is HOST:PORT, e.g. 127.0.0.1:5000")
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fault.New(fault.Failure, "registry.serve", address, "%w", err).WithHint("another port: --address %s", net.JoinHostPort(host, "0"))
	}
	at := listener.Addr().String()
	if !loopback.IsHost(at) {
		f.IO.Warn("whoever reaches %s may read and write in this registry", at)
	}
	f.IO.Note("a registry listens at %s until Ctrl-C", at)
	err = f.print(answer{
		Object: registryServed{APIVersion: apiVersion, Kind: "RegistryServed", Address: at},
		Names:  []string{at},
		Table:  func() error { return f.IO.Answer("%s", at) },
	})
	if err != nil {
		return err
	}
	if f.Flags.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.Flags.Timeout)
		defer cancel()
	}
	return server.Serve(ctx, listener, server.Options{Temp: f.Sys.Env("TMPDIR"), Names: names})
}
