// Package api is the API server of the embedded platform: the REST paths of
// Kubernetes for the kinds of the store, so that kubectl, kn and every other
// client of a cluster work on it as they are. Objects of Knative are defaulted
// and validated by Knative's own types, and errors read as those of a cluster.
package api

import (
	"context"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Options are what a Server needs.
type Options struct {
	Store *store.Store
	// Token is what a client has to present. It must not be empty.
	Token string
	// User is who a client is; "" is kn-lite.
	User string
	// Version is the platform's, for /version.
	Version string
	// Logs reads what containers print; nil where nothing runs containers.
	Logs Logs
	// Tokens makes tokens of service accounts; nil where there are none.
	Tokens Tokens
	// Metrics answers /metrics; nil where there are none.
	Metrics http.Handler
	// Patience is how long a client may neither send nor read; 0 is half a minute. A
	// watch in which nothing happens may take longer.
	Patience time.Duration
	// Report takes in what a panicking request leaves behind; nil drops it.
	Report func(message string)
}

// Logs reads what the containers of pods print.
type Logs interface {
	// Logs returns the log of one container of a pod; the caller closes it. Errors
	// are apimachinery's.
	Logs(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) (io.ReadCloser, error)
}

// Server serves the API.
type Server struct {
	store   *store.Store
	token   string
	user    string
	version string
	logs    Logs
	tokens  Tokens
	metrics http.Handler
	report  func(string)

	patience time.Duration
	settings settings
	// Made when they are first needed.
	merging   func() *merging
	documents func() map[string]document
}

// New returns a server. Its Run has to run beside it.
func New(o Options) *Server {
	s := &Server{store: o.Store, token: o.Token, user: o.User, version: o.Version, logs: o.Logs, tokens: o.Tokens, metrics: o.Metrics, report: o.Report}
	if s.user == "" {
		s.user = "kn-lite"
	}
	if s.patience = o.Patience; s.patience == 0 {
		s.patience = 30 * time.Second
	}
	if s.report == nil {
		s.report = func(string) {}
	}
	s.settings.store = s.store
	s.merging = sync.OnceValue(func() *merging { return newMerging(s.store.Kinds()) })
	s.documents = sync.OnceValue(s.makeDocuments)
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := newResponse(w, s.patience)
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			panic(cause)
		default:
			s.report(r.Method + " " + r.URL.Path + ": " + text(cause) + "\n" + string(debug.Stack()))
			if out.begun {
				panic(http.ErrAbortHandler) // a broken answer must not look like a whole one
			}
			writeError(out, apierrors.NewInternalError(panicked{cause}))
		}
	}()
	if err := s.serve(out, r); err != nil {
		if out.begun {
			panic(http.ErrAbortHandler)
		}
		writeError(out, err)
	}
}

func (s *Server) serve(w *response, r *http.Request) error {
	if err := checkSite(r); err != nil {
		return err
	}
	if isHealth(r.URL.Path) {
		return writeText(w, "ok")
	}
	if err := s.authenticate(r); err != nil {
		return err
	}
	if handled, err := s.serveFixed(w, r); handled {
		return err
	}
	req, err := s.parse(r)
	if err != nil {
		return err
	}
	return s.dispatch(w, req)
}
