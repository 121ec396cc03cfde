package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/devcluster/internal/cluster"
	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/state"
)

// system is what the program takes from its process.
type system struct {
	args []string
	env  func(string) string
	in   io.Reader
	out  *os.File  // the answer
	err  io.Writer // the log
}

func (s system) host() cluster.Host {
	return cluster.Host{Env: s.env, Log: s.err, Now: time.Now}
}

// defaultName is the instance that commands mean when none is named.
const defaultName = "default"

// execute runs one command line and returns its exit code: 0 done, 1 failed, 2 called
// wrongly, 130 interrupted.
func execute(ctx context.Context, s system) int {
	root := newRoot(s)
	root.SetArgs(s.args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	fmt.Fprintf(s.err, "devcluster: %v\n", err)
	if ctx.Err() != nil {
		return 130
	}
	return fault.ExitCode(err)
}

// exitCode ends the program with a code and without a word.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

const exitHelp = `
Exit codes: 0 done · 1 failed, or not healthy (status) · 2 called wrongly · 130 interrupted`

func newRoot(s system) *cobra.Command {
	name := s.env("DEVCLUSTER_NAME")
	if name == "" {
		name = defaultName
	}
	root := &cobra.Command{
		Use:   "devcluster",
		Short: "Real Knative on one Linux machine, with no container engine",
		Long: `Real Kubernetes with real Knative Serving on one Linux machine: no Docker, no virtual
machine, one command. Everything lives in namespaces of its own and goes away whole.

  devcluster up                        bring a cluster up (the first time compiles it)
  export KUBECONFIG=$(devcluster kubeconfig)
  devcluster down                      take it away again
` + exitHelp,
		SilenceErrors: true, SilenceUsage: true,
		// Args and RunE, so that an unknown verb is a usage fault like all others.
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return &fault.Error{Err: fmt.Errorf("unknown command %q", args[0]), Usage: true, Hint: "see `devcluster --help`"}
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.PersistentFlags().StringVar(&name, "name", name, "which cluster; also $DEVCLUSTER_NAME")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &fault.Error{Err: err, Usage: true, Hint: "see `" + c.CommandPath() + " --help`"}
	})
	root.AddCommand(newUp(s, &name), newDown(s, &name), newStatus(s, &name), newKubeconfig(s, &name), newLogs(s, &name),
		newKubectl(s, &name), newEnter(s, &name), newFootprint(s), newInit(s), newRelay())
	return root
}

// noArgs and exactArgs refuse with exit code 2, which cobra's own do not.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &fault.Error{Err: fmt.Errorf("unexpected argument %q", args[0]), Usage: true, Hint: "usage: " + c.UseLine()}
}

func newUp(s system, name *string) *cobra.Command {
	o := cluster.Options{}
	var address string
	c := &cobra.Command{
		Use:   "up",
		Short: "Bring a cluster up",
		Long: `Brings a cluster up and returns when a Knative service can be created. Installs missing
Debian packages and compiles what is not in the cache yet; the first compile takes
minutes. On a cluster that is up it does nothing; on one that was killed it starts what
is missing, with the objects it had.

On stdout: the path of its kubeconfig, and nothing else.
` + exitHelp,
		Example: `  devcluster up
  devcluster up --name ci --registry-port 0 --ingress-port 0 --api-port 0`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Name = *name
			if address != "" {
				a, err := parseAddress(address)
				if err != nil {
					return err
				}
				o.Address = a
			}
			return runUp(c.Context(), s, o)
		},
	}
	defaults := defaultPorts()
	c.Flags().StringVar(&address, "address", "", "loopback address to answer on (default: the first of 127.0.77.1, 127.0.77.2, … where the ports are free)")
	c.Flags().IntVar(&o.Ports.Registry, "registry-port", defaults.Registry, "port of the registry there; 0 takes a free one")
	c.Flags().IntVar(&o.Ports.Ingress, "ingress-port", defaults.Ingress, "port of the ingress there; 0 takes a free one")
	c.Flags().IntVar(&o.Ports.API, "api-port", defaults.API, "port of the API server there; 0 takes a free one")
	c.Flags().BoolVar(&o.FastAutoscaler, "fast-autoscaler", true, "let idle services go to zero after seconds (stable-window 6s, grace period 5s), not after Knative's 60 and 30")
	c.Flags().BoolVar(&o.KeepOnFailure, "keep-on-failure", false, "leave everything running when it fails, to be looked at")
	return c
}

func runUp(ctx context.Context, s system, o cluster.Options) error {
	for flag, port := range map[string]int{"--registry-port": o.Ports.Registry, "--ingress-port": o.Ports.Ingress, "--api-port": o.Ports.API} {
		if port < 0 || port > 65535 {
			return &fault.Error{Op: flag, Err: fmt.Errorf("%d is no port", port), Usage: true, Hint: "give one between 0 and 65535"}
		}
	}
	r, err := cluster.Up(ctx, s.host(), o)
	if err != nil {
		return err
	}
	i := r.Instance
	kubeconfig := i.Path(cluster.KubeconfigFile)
	fmt.Fprintf(s.err, `
Knative is ready.
  kubeconfig  %s
  registry    %s (plain HTTP)
  ingress     http://%s, services at http://NAME.NAMESPACE.%s

Try it:
  export KUBECONFIG=%s
  curl -H 'Host: NAME.default.%s' http://%s/
`, kubeconfig, i.Registry(), i.Ingress(), i.Domain(), kubeconfig, i.Domain(), i.Ingress())
	_, err = fmt.Fprintln(s.out, kubeconfig)
	return err
}

func newDown(s system, name *string) *cobra.Command {
	var force, all bool
	c := &cobra.Command{
		Use:   "down",
		Short: "Take a cluster away, whole",
		Long: `Ends every process of a cluster, removes its cgroups and its folder, and checks that
nothing of it stays; if something does, it is named and the exit code is 1. Where there
is no cluster of the name, that is what was asked for: exit code 0.

Compiled parts stay in the cache, and Debian packages stay installed.
` + exitHelp,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			names := []string{*name}
			if all {
				home, err := state.Home(s.env)
				if err != nil {
					return err
				}
				if names, err = state.Names(home); err != nil {
					return err
				}
			}
			for _, n := range names {
				was, err := cluster.Down(c.Context(), s.host(), n, force)
				if err != nil {
					return err
				}
				if was {
					fmt.Fprintf(s.err, "%s is gone; nothing of it is left\n", n)
				} else {
					fmt.Fprintf(s.err, "there is no cluster %q\n", n)
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&force, "force", false, "also when its record cannot be read: find its processes and cgroups by what they look like")
	c.Flags().BoolVar(&all, "all", false, "all clusters of this user")
	return c
}

func newKubeconfig(s system, name *string) *cobra.Command {
	var raw bool
	c := &cobra.Command{
		Use:     "kubeconfig",
		Short:   "Print the path of a cluster's kubeconfig",
		Long:    "Prints the path of a cluster's kubeconfig, or with --raw its content." + "\n" + exitHelp,
		Example: "  export KUBECONFIG=$(devcluster kubeconfig)",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			r, err := s.host().Load(*name)
			if err != nil {
				return err
			}
			path := r.Instance.Path(cluster.KubeconfigFile)
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				err = &fault.Error{Op: "find kubeconfig", Subject: path, Err: errors.New("the cluster is not that far yet"), Hint: "run `devcluster up`"}
			}
			if err != nil {
				return err
			}
			if !raw {
				text = []byte(path + "\n")
			}
			_, err = s.out.Write(text)
			return err
		},
	}
	c.Flags().BoolVar(&raw, "raw", false, "print the content")
	return c
}

func oneOf(list []string) string { return strings.Join(list, ", ") }
