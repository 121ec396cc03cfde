package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/devcluster/internal/cluster"
	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/footprint"
	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/node"
)

func parseAddress(text string) (netip.Addr, error) { return instance.ParseAddress(text) }

func defaultPorts() instance.Ports { return instance.DefaultPorts() }

func newStatus(s system, name *string) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how each component is",
		Long:  "Asks every component of a cluster how it is. Exit code 1 when one is not healthy, or there is no cluster." + "\n" + exitHelp,
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return &fault.Error{Op: "-o", Err: fmt.Errorf("unknown output %q", output), Usage: true, Hint: "one of table, json"}
			}
			r, err := s.host().Load(*name)
			if err != nil {
				return err
			}
			status, err := cluster.Look(c.Context(), r)
			if err != nil {
				return err
			}
			if output == "json" {
				e := json.NewEncoder(s.out)
				e.SetIndent("", "  ")
				err = e.Encode(status)
			} else {
				err = writeStatus(s.out, status, time.Now())
			}
			if err == nil && !status.Healthy {
				return exitCode(1)
			}
			return err
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

func writeStatus(w io.Writer, s cluster.Status, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "COMPONENT\tPID\tHEALTHY\tSINCE\tREASON\n")
	for _, c := range s.Components {
		pid, since := "-", "-"
		if c.PID != 0 {
			pid = strconv.Itoa(c.PID)
		}
		if !c.Since.IsZero() {
			since = now.Sub(c.Since).Round(time.Second).String()
		}
		fmt.Fprintf(t, "%s\t%s\t%t\t%s\t%s\n", c.Name, pid, c.Healthy, since, c.Reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nkubeconfig  %s\nregistry    %s\ningress     %s\n", s.Kubeconfig, s.Registry, s.Ingress)
	return err
}

func newLogs(s system, name *string) *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:       "logs COMPONENT",
		Short:     "Print a component's output",
		Long:      "Prints what a component of the node has written. Pods' logs come from `devcluster kubectl logs`.\n\nCOMPONENT is one of machine, " + oneOf(node.Names()) + ".\n" + exitHelp,
		ValidArgs: append(node.Names(), "machine"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(c.ValidArgs, args[0]) {
				return &fault.Error{Op: "logs", Err: fmt.Errorf("name one component, got %q", args), Usage: true, Hint: "one of " + oneOf(c.ValidArgs)}
			}
			r, err := s.host().Load(*name)
			if err != nil {
				return err
			}
			return copyLog(c.Context(), s.out, cluster.LogFile(r, args[0]), follow)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written later, until interrupted")
	return c
}

// copyLog writes a file to out. With follow it goes on as the file grows and ends
// when the file is gone or ctx ends; both are fine.
func copyLog(ctx context.Context, out io.Writer, path string, follow bool) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &fault.Error{Op: "read log", Subject: path, Err: errors.New("it has written nothing yet")}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.Copy(out, f); err != nil {
			return err
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if _, err := os.Stat(path); err != nil {
				return nil
			}
		}
	}
}

func newFootprint(s system) *cobra.Command {
	var since string
	c := &cobra.Command{
		Use:   "footprint",
		Short: "List what this host carries, or what has been left since",
		Long: `Lists the host's devices, addresses, routes, firewall rules, mounts, cgroups, sysctls and
the folders that container software leaves, as JSON. With --since it compares with such
a list and prints the differences; any difference is exit code 1.
` + exitHelp,
		Example: `  devcluster footprint > before.json
  devcluster up && devcluster down
  devcluster footprint --since before.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			now, err := footprint.Take(c.Context())
			if err != nil {
				return err
			}
			if since == "" {
				e := json.NewEncoder(s.out)
				e.SetIndent("", "  ")
				return e.Encode(now)
			}
			text, err := os.ReadFile(since)
			if err != nil {
				return err
			}
			var before footprint.Footprint
			if err := json.Unmarshal(text, &before); err != nil {
				return &fault.Error{Op: "read", Subject: since, Err: err, Usage: true, Hint: "make it with `devcluster footprint`"}
			}
			changed := false
			for sign, lines := range map[string][]string{"+": footprint.Left(before, now), "-": footprint.Lost(before, now)} {
				for _, l := range lines {
					changed = true
					fmt.Fprintf(s.out, "%s %s\n", sign, l)
				}
			}
			if changed {
				return exitCode(1)
			}
			return nil
		},
	}
	c.Flags().StringVar(&since, "since", "", "file with an earlier list")
	return c
}
