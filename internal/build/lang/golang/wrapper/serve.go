// Package wrapper is the program that a Go function becomes. Its source is
// compiled into every image, as package main beside a file that names the
// user's function, so it uses nothing but the standard library.
package wrapper

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// headerTimeout ends connections that never finish their request's head. There
// is no limit on the body or the answer: how long a request may take is the
// revision's timeoutSeconds, which queue-proxy enforces, and a stream may last
// for as long as that.
const headerTimeout = 30 * time.Second

// stopTimeout is what the function's Stop may take.
const stopTimeout = 30 * time.Second

// function is the user's code: a handler, and the value that New made, if any,
// whose optional methods are called: Start(ctx, env) error, Stop(ctx) error,
// Alive(ctx) (bool, error), Ready(ctx) (bool, error).
type function struct {
	handle   http.HandlerFunc
	instance any
}

// serve runs the function until the process is told to end.
func (f function) serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From here on a second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	listener, err := net.Listen("tcp", address(os.Getenv))
	if err != nil {
		return err
	}
	return f.serveOn(ctx, listener, os.Environ())
}

// address is where to listen. Knative sets PORT.
func address(env func(string) string) string {
	if a := env("LISTEN_ADDRESS"); a != "" {
		return a
	}
	if p := env("PORT"); p != "" {
		return ":" + p
	}
	return ":8080"
}

// serveOn serves until ctx is done, then lets the requests under way finish.
func (f function) serveOn(ctx context.Context, listener net.Listener, environ []string) error {
	if starter, ok := f.instance.(interface {
		Start(context.Context, map[string]string) error
	}); ok {
		if err := starter.Start(ctx, environment(environ)); err != nil {
			return errors.Join(fmt.Errorf("start: %w", err), listener.Close())
		}
	}
	server := &http.Server{Handler: f.routes(), ReadHeaderTimeout: headerTimeout}
	allowHTTP2(server)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	log.Printf("listening on %s", listener.Addr())

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		// Kubernetes kills the process when the grace period is over, and that is
		// the limit that the user has set; a second one here could only cut short.
		err = server.Shutdown(context.Background())
	}
	return errors.Join(err, f.stop())
}

func (f function) stop() error {
	stopper, ok := f.instance.(interface{ Stop(context.Context) error })
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := stopper.Stop(ctx); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

func (f function) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/health/liveness", func(w http.ResponseWriter, r *http.Request) {
		if i, ok := f.instance.(interface {
			Alive(context.Context) (bool, error)
		}); ok {
			report(w, r, i.Alive)
			return
		}
		report(w, r, nil)
	})
	mux.HandleFunc("/health/readiness", func(w http.ResponseWriter, r *http.Request) {
		if i, ok := f.instance.(interface {
			Ready(context.Context) (bool, error)
		}); ok {
			report(w, r, i.Ready)
			return
		}
		report(w, r, nil)
	})
	// ServeMux cleans paths by redirecting; a function gets every request as it came.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/health/") {
			if _, pattern := mux.Handler(r); pattern != "" {
				mux.ServeHTTP(w, r)
				return
			}
		}
		f.handle(w, r)
	})
}

// report answers a probe: 200 when check is nil or true, 503 when it is false,
// 500 with the error otherwise.
func report(w http.ResponseWriter, r *http.Request, check func(context.Context) (bool, error)) {
	ok, err := true, error(nil)
	if check != nil {
		ok, err = check(r.Context())
	}
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case !ok:
		http.Error(w, "not yet", http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusOK)
	}
}

func environment(environ []string) map[string]string {
	out := make(map[string]string, len(environ))
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		out[name] = value
	}
	return out
}
