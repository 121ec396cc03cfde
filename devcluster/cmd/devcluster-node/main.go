// Command devcluster-node is every long-running part of a devcluster in one
// binary: `devcluster-node PART FLAGS…` behaves as the upstream program PART.
// One binary, because the parts share most of their packages: it links once and
// is a third of the size of six.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// part runs one program with os.Args already set to that program's own and
// returns its exit code. Nothing of a part may be built before it is chosen:
// two Kubernetes commands in one process panic over the signal handler.
type part func(ctx context.Context) int

func parts() map[string]part {
	return map[string]part{
		"coredns":                 coreDNS,
		"kube-apiserver":          kubeAPIServer,
		"kube-controller-manager": kubeControllerManager,
		"kube-proxy":              kubeProxy,
		"kube-scheduler":          kubeScheduler,
		"kubectl":                 kubectl,
		"kubelet":                 kubelet,
		"registry":                registryServer,
		"traefik":                 traefikServer,
	}
}

func main() { os.Exit(run()) }

func run() int {
	known := parts()
	// Called through a link named kubectl, say, the name itself chooses.
	if p, ok := known[filepath.Base(os.Args[0])]; ok {
		return p(context.Background())
	}
	if len(os.Args) > 1 {
		if p, ok := known[os.Args[1]]; ok {
			os.Args = os.Args[1:] // as the program itself would see them
			return p(context.Background())
		}
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintf(os.Stderr, "usage: %s PART [FLAGS]\nparts: %s\n", filepath.Base(os.Args[0]), strings.Join(names, ", "))
	return 2
}
