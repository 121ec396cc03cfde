package local

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/kn-lite/kn-lite/internal/registry/server"
)

// front is what listens for functions: requests to this machine's own name are for
// the platform itself, all others for functions.
type front struct {
	functions http.Handler
	own       *http.ServeMux
}

func newFront(functions, images, metrics, dashboard http.Handler) *front {
	f := &front{functions: functions, own: http.NewServeMux()}
	f.own.Handle("/metrics", metrics)
	f.own.Handle("/v2/", images)
	f.own.Handle("/", dashboard)
	return f
}

// withToken lets in who has the token: as a bearer's or as a password.
func withToken(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			_, given, _ = r.BasicAuth()
		}
		if subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="kn-lite"`)
			http.Error(w, "the token of the platform is wanted: it is in the kubeconfig, under kn-lite-local", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if server.IsOwnName(r.Host) {
		f.own.ServeHTTP(w, r)
		return
	}
	f.functions.ServeHTTP(w, r)
}
