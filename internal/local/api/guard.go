package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kn-lite/kn-lite/internal/loopback"
)

// checkSite refuses what a web page could send: a name that resolves to this
// machine without being its own (DNS rebinding), and requests of other sites.
func checkSite(r *http.Request) error {
	if !loopback.IsHost(r.Host) {
		return forbidden("the host " + r.Host + " is not this machine's loopback address")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return forbidden("requests from pages of " + origin + " are not accepted")
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return nil
	}
	return forbidden("requests from pages of other sites are not accepted")
}

func forbidden(message string) error {
	return apierrors.NewForbidden(schema.GroupResource{}, "", reason(message))
}

// authenticate wants the token. Digests are compared, so that neither the time
// nor the length gives it away.
func (s *Server) authenticate(r *http.Request) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(s.token))
	same := subtle.ConstantTimeCompare(got[:], want[:]) == 1
	if s.token == "" || !strings.EqualFold(scheme, "Bearer") || !same {
		return apierrors.NewUnauthorized("Unauthorized")
	}
	return nil
}

func isHealth(path string) bool {
	switch path {
	case "/healthz", "/livez", "/readyz":
		return true
	}
	return false
}
