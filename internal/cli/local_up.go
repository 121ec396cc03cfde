package cli

import (
	"context"
	"maps"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local"
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

func newLocalUpCmd(f *Factory, runF func(context.Context, *localUpOptions) error) *cobra.Command {
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
			if err := o.check(); err != nil {
				return err
			}
			return runner(f, runF, runLocalUp)(cmd.Context(), o)
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
	if o.Detach {
		info, err := startLocal(ctx, f, o)
		if err != nil {
			return err
		}
		return printLocal(f, info)
	}
	ctx, stop := signal.NotifyContext(ctx, hangup()) // the terminal is closed
	defer stop()
	return f.App().LocalUp(ctx, app.LocalUpRequest{
		Port: o.Port, APIPort: o.APIPort, Network: o.Network, Autoscaler: o.Autoscaler,
		Ready: func(info *local.Info) error { return printLocal(f, info) },
	})
}

// printLocal is the answer once the platform serves.
func printLocal(f *Factory, info *local.Info) error {
	object := describeLocal(f, info)
	return f.print(answer{
		Object: object,
		Names:  []string{object.Context},
		Table: func() error {
			tellLocal(f, info)
			return f.IO.Answer("%s", object.URL)
		},
	})
}

func tellLocal(f *Factory, info *local.Info) {
	f.IO.Step("the platform runs, as process %d; stop it with `kn-lite local down`", info.PID)
}

// startLocal starts the platform in the background, as this command without -d, and
// waits until it serves.
func startLocal(ctx context.Context, f *Factory, o *localUpOptions) (*local.Info, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fault.New(fault.Failure, "local.up", "", "%w", err)
	}
	ctx, cancel := f.withTimeout(ctx, localUpTimeout)
	defer cancel()
	background := local.Background{Place: f.localPlace(), Program: program, Args: o.foreground(f), Env: f.Sys.Vars, Differs: o.differsFrom}
	info, already, err := background.Start(ctx)
	if err == nil && already {
		f.IO.Note("it runs already")
	}
	return info, err
}

// differsFrom returns the first flag that was given and does not hold for a platform.
func (o *localUpOptions) differsFrom(info *local.Info) string {
	holds := map[string]bool{
		"port":       o.Port == 0 || o.Port == portOf(info.Address),
		"api-port":   o.APIPort == 0 || o.APIPort == portOf(info.API),
		"network":    o.Network == info.Network,
		"autoscaler": false, // it is not asked what it has
	}
	for _, flag := range slices.Sorted(maps.Keys(holds)) {
		if o.Given[flag] && !holds[flag] {
			return "--" + flag
		}
	}
	return ""
}

// portOf returns the port of an address or URL, 0 where there is none.
func portOf(address string) int {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(address, "https://"))
	number, _ := strconv.Atoi(port)
	return number
}

// foreground is the command line of the platform itself: its error is JSON, on the
// last line of the log.
func (o *localUpOptions) foreground(f *Factory) []string {
	args := []string{
		"local", "up", "--port", strconv.Itoa(o.Port), "--api-port", strconv.Itoa(o.APIPort), "--network", o.Network,
		"--output", "json", "--no-input", "--color", "never",
	}
	for _, key := range slices.Sorted(maps.Keys(o.Autoscaler)) {
		args = append(args, "--autoscaler", key+"="+o.Autoscaler[key])
	}
	if f.Flags.Kubeconfig != "" {
		args = append(args, "--kubeconfig", f.Flags.Kubeconfig)
	}
	if f.Flags.Verbose {
		args = append(args, "--verbose")
	}
	return args
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
		info, err := startLocal(ctx, f, &localUpOptions{Port: local.DefaultPort, APIPort: local.DefaultAPIPort, Network: local.NetworkOpen})
		if err == nil {
			tellLocal(f, info)
		}
		return true, err
	}
}
