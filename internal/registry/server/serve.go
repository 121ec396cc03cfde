// Package server serves images as an OCI registry: Serve for a while, from a folder
// that goes with it, and Registry from one that outlasts its process. Both answer only
// under names that no page in a browser can take for its own, and hold no layer in
// memory.
package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/kn-lite/kn-lite/internal/attest"
)

// Options say how Serve works. The zero value does.
type Options struct {
	Temp  string           // folder in which blobs have theirs; "" is the system's
	Names []string         // hosts that it answers to, besides localhost and numbers
	Now   func() time.Time // for uploads that nobody goes on with; default time.Now
}

// Serve is a registry on listener until ctx ends, for trying things out: it asks
// nobody for credentials, knows referrers, and forgets everything at its end.
// Blobs are files in a temporary folder, which the next one removes when this one
// is killed, so that neither memory nor the disk fills up.
func Serve(ctx context.Context, listener net.Listener, opts Options) (err error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	dir, remove, err := openTempFolder(opts.Temp, opts.Now)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, remove()) }()
	blobs, err := newBlobFiles(dir, opts.Now, withSubjects(manifestsOver(dir)))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: rejectForeign(opts.Names, blobs), ReadHeaderTimeout: 30 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	sweep := time.NewTicker(uploadLife / 4)
	defer sweep.Stop()
	for ctx.Err() == nil {
		select {
		case err = <-ended:
			return err
		case <-sweep.C:
			blobs.expire()
		case <-ctx.Done():
		}
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

// maxManifest is what the distribution specification lets a registry limit
// manifests to.
const maxManifest = 4 << 20

// manifestsOver is go-containerregistry's handler, which has manifests in memory
// and blobs in dir.
func manifestsOver(dir string) http.Handler {
	return registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)), registry.WithReferrersSupport(true),
		registry.Logger(log.New(io.Discard, "", 0)))
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
