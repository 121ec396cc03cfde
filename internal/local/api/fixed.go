package api

import (
	"net/http"
	"runtime"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
)

// kubernetesVersion is the version whose API the platform follows: that of the
// modules of k8s.io in go.mod.
const kubernetesVersion = "35"

// serveFixed answers on the paths that are not about objects of the store.
func (s *Server) serveFixed(w *response, r *http.Request) (handled bool, err error) {
	path := strings.TrimRight(r.URL.Path, "/")
	if review := newReview(path); review != nil {
		return true, s.review(w, r, review)
	}
	answer := s.fixed(w, r, path)
	if answer == nil && path == "/metrics" && s.metrics != nil {
		answer = func() error { s.metrics.ServeHTTP(w, r); return nil }
	}
	if answer == nil {
		return false, nil
	}
	if r.Method != http.MethodGet {
		return true, methodNotAllowed(r)
	}
	return true, answer()
}

func (s *Server) fixed(w *response, r *http.Request, path string) func() error {
	switch {
	case path == "":
		return func() error { return writeJSON(w, whole, http.StatusOK, map[string]any{"paths": s.rootPaths()}) }
	case path == "/version":
		return func() error { return writeJSON(w, whole, http.StatusOK, s.versionInfo()) }
	case path == "/api", path == "/apis":
		return func() error { return s.discoverGroups(w, r, path) }
	case path == "/openapi/v2":
		return func() error { return s.openAPIv2(w, r) }
	case strings.HasPrefix(path, "/openapi/v3"):
		return func() error { return s.openAPI(w, r, strings.TrimPrefix(path, "/openapi/v3")) }
	}
	if answer := s.discovery(path); answer != nil {
		return func() error { return writeJSON(w, whole, http.StatusOK, answer) }
	}
	return nil
}

func (s *Server) versionInfo() version.Info {
	return version.Info{
		Major: "1", Minor: kubernetesVersion, GitVersion: "v1." + kubernetesVersion + ".0+kn-lite." + versionTail(s.version),
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// versionTail is a version as build metadata: letters, digits, dots and hyphens.
func versionTail(v string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, v)
}

func (s *Server) rootPaths() []string {
	paths := []string{"/api", "/api/v1", "/apis"}
	for _, gv := range s.groupVersions() {
		if gv.Group != "" {
			paths = append(paths, "/apis/"+gv.Group, "/apis/"+gv.String())
		}
	}
	return append(paths, "/healthz", "/livez", "/openapi/v3", "/readyz", "/version")
}

func methodNotAllowed(r *http.Request) error {
	return apierrors.NewMethodNotSupported(schemaless(), strings.ToLower(r.Method))
}

func schemaless() schema.GroupResource { return schema.GroupResource{} }

func versionText(v uint64) string { return strconv.FormatUint(v, 10) }
