package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/devcluster/internal/cluster"
	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
	"github.com/kn-lite/kn-lite/devcluster/internal/relay"
)

// newInit is the first process of a machine; `up` starts it.
func newInit(s system) *cobra.Command {
	return &cobra.Command{Use: "init", Hidden: true, Args: noArgs, RunE: func(*cobra.Command, []string) error {
		return machine.Init(s.in, s.out)
	}}
}

// newRelay forwards the listeners in descriptors 3 and up to the addresses named.
func newRelay() *cobra.Command {
	return &cobra.Command{Use: "relay", Hidden: true, RunE: func(c *cobra.Command, targets []string) error {
		all, ctx := errgroup.WithContext(c.Context())
		for n, target := range targets {
			f := os.NewFile(uintptr(3+n), target)
			if f == nil {
				return &fault.Error{Op: "relay", Err: errors.New("started without listeners"), Usage: true}
			}
			l, err := net.FileListener(f)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			all.Go(func() error { return relay.Serve(ctx, l, target) })
		}
		return all.Wait()
	}}
}

func newKubectl(s system, name *string) *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl [--name NAME] [ARGS…]",
		Short:              "Run the cluster's own kubectl on it",
		Example:            "  devcluster kubectl get pods --all-namespaces\n  devcluster kubectl --name ci get nodes",
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			// kubectl has flags of its own: only a leading --name is ours.
			if len(args) > 1 && args[0] == "--name" {
				*name, args = args[1], args[2:]
			} else if len(args) > 0 && strings.HasPrefix(args[0], "--name=") {
				*name, args = strings.TrimPrefix(args[0], "--name="), args[1:]
			}
			if len(args) > 0 && args[0] == "--" {
				args = args[1:]
			}
			r, err := s.host().Load(*name)
			if err != nil {
				return err
			}
			env := append(os.Environ(), "KUBECONFIG="+r.Instance.Path(cluster.KubeconfigFile))
			err = unix.Exec(r.Node, append([]string{"kubectl"}, args...), env)
			return &fault.Error{Op: "run", Subject: r.Node, Err: err, Hint: "`devcluster up` compiles it again"}
		},
	}
}

func newEnter(s system, name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "enter [-- COMMAND ARGS…]",
		Short: "Run a command inside the machine",
		Long: `Runs a command, or a shell, where the cluster's components live: with their network,
mounts and processes. For looking around with ip, iptables-save, ctr and the like.
` + exitHelp,
		Example: "  devcluster enter -- ctr -n k8s.io images list\n  devcluster enter -- iptables-save -t nat",
		RunE: func(c *cobra.Command, args []string) error {
			r, err := s.host().Load(*name)
			if err != nil {
				return err
			}
			if r.Machine == nil || !r.Machine.Alive() {
				return &fault.Error{Op: "enter", Subject: r.Instance.Name, Err: errors.New("the machine is not running"), Hint: "run `devcluster up`"}
			}
			if len(args) == 0 {
				args = []string{"/bin/sh"}
			}
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
			if err := r.Machine.Start(cmd); err != nil {
				return &fault.Error{Op: "enter", Subject: args[0], Err: err}
			}
			err = cmd.Wait()
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return exitCode(exit.ExitCode())
			}
			return err
		},
	}
}
