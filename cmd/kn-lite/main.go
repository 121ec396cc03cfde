// Command kn-lite takes a folder of code to a live Knative revision, with its traffic
// managed and without a container engine.
package main

import (
	"context"
	"os"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/cli"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

func main() {
	// A build with a Dockerfile starts this program again, inside of a sandbox.
	if code, ours := sandbox.Inside(os.Args, os.Stdin, os.Stdout, rootfs.Guests()); ours {
		os.Exit(code)
	}
	// And a verified build, for the second of its two builds.
	if code, ours := build.Again(os.Args, os.Stdin, os.Stdout); ours {
		os.Exit(code)
	}
	os.Exit(cli.Main(context.Background(), cli.SystemOf(os.Args, os.Stdin, os.Stdout, os.Stderr)))
}
