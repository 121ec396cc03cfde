// Package registry serves the OCI distribution API from a folder, for images
// that only this machine needs. Unlike the registry it builds upon, it keeps
// manifests and tags over a restart.
package registry

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Handler serves the registry that lies in dir, which it makes.
func Handler(dir string) (http.Handler, error) {
	blobs := filepath.Join(dir, "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return nil, err
	}
	return newJournal(filepath.Join(dir, "manifests"), registry.New(
		registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)),
		registry.WithReferrersSupport(true),
		registry.Logger(log.New(io.Discard, "", 0)),
	))
}

// Serve listens on listen ("host:port") until ctx ends, then gives requests
// three seconds to finish. It tells log once that it serves.
func Serve(ctx context.Context, listen, dir string, log io.Writer) error {
	handler, err := Handler(dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "registry: serving %s on %s\n", dir, l.Addr())
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		return srv.Shutdown(grace)
	}
}
