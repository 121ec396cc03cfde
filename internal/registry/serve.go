package registry

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Serve is a registry on listener until ctx ends, for trying things out: it asks
// nobody for credentials, knows referrers, and forgets everything at its end.
// Blobs are files in a temporary folder, so that memory does not limit them.
func Serve(ctx context.Context, listener net.Listener) (err error) {
	dir, err := os.MkdirTemp("", "kn-lite-registry-*")
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server := &http.Server{
		Handler: registry.New(
			registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)), registry.WithReferrersSupport(true),
			registry.Logger(log.New(io.Discard, "", 0)),
		),
		ReadHeaderTimeout: 30 * time.Second,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
	}
	// Who is in the middle of something gets a moment to end it.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err = server.Shutdown(grace); err != nil {
		err = server.Close()
	}
	<-ended //nolint:errcheck // http.ErrServerClosed, as asked for
	return err
}
