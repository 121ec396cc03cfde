// Command kn-lite takes a folder of code to a live, traffic-managed Knative
// revision without a container engine.
package main

import (
	"context"
	"os"

	"github.com/kn-lite/kn-lite/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), cli.SystemOf(os.Args, os.Stdin, os.Stdout, os.Stderr)))
}
