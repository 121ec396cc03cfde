package cli

import (
	"context"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/settings"
	"github.com/kn-lite/kn-lite/internal/term"
)

// localUpTimeout is how long a platform in the background may take to start.
const localUpTimeout = 30 * time.Second

type localUpOptions struct {
	Detach  bool
	Port    int
	APIPort int
	Network string
	// Autoscaler is what --autoscaler sets.
	Autoscaler map[string]string
	Given      map[string]bool // flags that are not left at their defaults
}

func newLocalUpCmd(f *Factory) *cobra.Command {
	o := &localUpOptions{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the platform",
		Long: `Up serves until Ctrl-C, or in the background with -d, where one that runs already
will do. It makes the context
` + cluster.LocalContext + ` the current one of your kubeconfig, and puts back the one
before when it ends. Services, their splits and images are there again the next time.

Functions are reached under http://NAME.NAMESPACE.127.0.0.1.sslip.io:PORT, a name
that stands for this machine, or http://NAME.NAMESPACE.localhost:PORT. Nothing
listens on other addresses than loopback. Instances run in sandboxes with a network
of their own; --network none cuts them off from everything but other functions.
Where this machine permits no sandbox they are plain processes. Linux only.`,
		Example: `  kn-lite local up
  kn-lite local up -d --port 8000`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Given = map[string]bool{}
			cmd.Flags().Visit(func(flag *pflag.Flag) { o.Given[flag.Name] = true })
			return runLocalUp(cmd.Context(), f, o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.Detach, "detach", "d", false, "start it in the background")
	flags.IntVar(&o.Port, "port", local.DefaultPort, "port of functions, registry and dashboard; 0 is any free one")
	flags.IntVar(&o.APIPort, "api-port", local.DefaultAPIPort, "port of the API server; 0 is any free one")
	flags.StringVar(&o.Network, "network", local.NetworkOpen, "what instances reach: open or none")
	flags.StringToStringVar(&o.Autoscaler, "autoscaler", nil, "set `KEY=VALUE` of Knative's config-autoscaler, e.g. stable-window=10s; it stays set")
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("network", cobra.FixedCompletions([]string{local.NetworkOpen, local.NetworkNone}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *localUpOptions) check() error {
	for flag, port := range map[string]int{"--port": o.Port, "--api-port": o.APIPort} {
		if port < 0 || port > 65535 {
			return fault.Usagef("%s %d: a port is between 0 and 65535", flag, port)
		}
	}
	if o.Network != local.NetworkOpen && o.Network != local.NetworkNone {
		return fault.Usagef("--network %s: use open or none", o.Network)
	}
	return nil
}

func runLocalUp(ctx context.Context, f *Factory, o *localUpOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	place := f.localPlace()
	if o.Detach {
		return localDetached(ctx, f, place, o, func(info *local.Info) error { return printLocal(f, info) })
	}
	ctx, stop := signal.NotifyContext(ctx, hangup()) // the terminal is closed
	defer stop()
	access := f.clusterOptions("")
	reach, err := f.registryOptions()
	if err != nil {
		return err
	}
	var added *local.Info
	options := localOptions(f)
	options.Version, options.Port, options.APIPort, options.Network = currentVersion().Version, o.Port, o.APIPort, o.Network
	options.Autoscaler, options.Registry = o.Autoscaler, reach
	options.Ready = func(info *local.Info) error {
		file, previous, err := cluster.AddContext(access, cluster.Access{Name: cluster.LocalContext, Server: info.API, CA: info.CA, Token: info.Token, Namespace: "default"})
		if err != nil {
			return err
		}
		if previous == cluster.LocalContext { // of a platform that was killed
			if killed, err := place.Killed(); err == nil && killed != nil {
				previous = killed.Previous
			}
		}
		info.Previous, added = previous, info
		f.IO.Step("context %s is current in %s", cluster.LocalContext, file)
		return printLocal(f, info)
	}
	err = local.Up(ctx, options)
	if added != nil {
		if removeErr := cluster.RemoveContext(access, cluster.LocalContext, added.Previous); err == nil {
			err = removeErr
		}
	}
	if ctx.Err() != nil && fault.KindOf(err) == fault.KindOf(ctx.Err()) {
		f.IO.Note("the platform has stopped; what was deployed is there again after `kn-lite local up`")
		return nil // that is how one ends it
	}
	return err
}

// localOptions are those that up and down have in common: where everything is.
func localOptions(f *Factory) local.Options {
	return local.Options{
		Place: f.localPlace(), CacheDir: settings.CacheDir(f.Sys.Env), Temp: f.Sys.Env("TMPDIR"), Path: f.Sys.Env("PATH"),
		Warn:  func(text string) { f.IO.Warn("%s", text) },
		Debug: func(text string) { f.IO.Debug("%s", text) },
	}
}

// printLocal is the answer once the platform serves.
func printLocal(f *Factory, info *local.Info) error {
	object := describeLocal(f, info)
	return f.print(answer{
		Object: object,
		Names:  []string{object.Context},
		Table: func() error {
			if err := tellLocal(f.IO, info); err != nil {
				return err
			}
			return f.IO.Answer("%s", object.URL)
		},
	})
}

func tellLocal(streams *term.IO, info *local.Info) error {
	streams.Step("the platform runs, as process %d; stop it with `kn-lite local down`", info.PID)
	return nil
}
