// Command program is what the images of the runtimes' tests run: see runtimetest.
package main

import (
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/kn-lite/kn-lite/test/runtimetest"
)

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	dir, _ := os.Getwd()
	os.Exit(runtimetest.Program(runtimetest.System{
		Args: os.Args, Env: os.Environ(), Dir: dir, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals,
		Listen: func(port string) (net.Listener, error) { return net.Listen("tcp", ":"+port) },
		Read:   os.ReadFile,
		Write:  func(path string, text []byte) error { return os.WriteFile(path, text, 0o644) },
	}))
}
