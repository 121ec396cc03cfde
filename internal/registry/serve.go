package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/kn-lite/kn-lite/internal/attest"
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
		Handler: withSubjects(registry.New(
			registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)), registry.WithReferrersSupport(true),
			registry.Logger(log.New(io.Discard, "", 0)),
		)),
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
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) { // which was asked for
		err = errors.Join(err, served)
	}
	return err
}

// withSubjects says of manifests with a subject that they are listed among its
// referrers, as the specification wants it and go-containerregistry forgets: a
// client that hears nothing keeps a list of its own.
func withSubjects(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
			if err != nil {
				http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
				return
			}
			var m attest.Manifest
			if json.Unmarshal(raw, &m) == nil && m.Subject != nil {
				w.Header().Set("OCI-Subject", m.Subject.Digest)
			}
			r.Body = io.NopCloser(bytes.NewReader(raw))
		}
		next.ServeHTTP(w, r)
	})
}
