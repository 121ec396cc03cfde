// Command devcluster is real Kubernetes with real Knative Serving on one Linux
// machine, with no container engine: `devcluster up`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first Ctrl-C asks for an orderly end; a second one kills.
	context.AfterFunc(ctx, stop)
	return execute(ctx, system{args: os.Args[1:], env: os.Getenv, in: os.Stdin, out: os.Stdout, err: os.Stderr})
}
