package regtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const tokenPath = "/token"

// token is what a bearer may do: actions by repository.
type token map[string][]string

// authorized checks the request's credentials and challenges it if they do not do.
func (s *Server) authorized(w http.ResponseWriter, r *http.Request) bool {
	if header := r.Header.Get("Authorization"); header != "" {
		s.mu.Lock()
		s.secrets = append(s.secrets, r.Host+" "+r.Method+" "+r.URL.Path)
		s.mu.Unlock()
	}
	switch s.Auth {
	case "basic":
		if user, password, ok := r.BasicAuth(); ok && user == s.User && password == s.Password {
			return true
		}
		w.Header().Set("Www-Authenticate", `Basic realm="regtest"`)
	case "bearer":
		if s.bearerAllows(r) {
			return true
		}
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		challenge := fmt.Sprintf(`Bearer realm="%s://%s%s",service="regtest"`, scheme, r.Host, tokenPath)
		if repo, action := needs(r); repo != "" {
			challenge += fmt.Sprintf(`,scope="repository:%s:%s"`, repo, action)
		}
		w.Header().Set("Www-Authenticate", challenge)
	default:
		return true
	}
	writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	return false
}

// needs is the permission that a request takes.
func needs(r *http.Request) (repo, action string) {
	if classify(r) == Ping {
		return "", ""
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return repository(r.URL), "pull"
	}
	return strings.TrimSuffix(repository(r.URL), "/blobs/uploads"), "push"
}

func (s *Server) bearerAllows(r *http.Request) bool {
	presented, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rights, ok := s.tokens[presented]
	if !ok {
		return false
	}
	repo, action := needs(r)
	return repo == "" || slices.Contains(rights[repo], action)
}

// serveToken is the token server: everybody may pull, the user may push.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	user, password, given := r.BasicAuth()
	known := given && user == s.User && password == s.Password
	if given && !known {
		writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", "incorrect username or password")
		return
	}
	rights := token{}
	for _, scope := range r.URL.Query()["scope"] {
		parts := strings.Split(scope, ":")
		if len(parts) != 3 || parts[0] != "repository" {
			continue
		}
		for action := range strings.SplitSeq(parts[2], ",") {
			if known || action == "pull" {
				rights[parts[1]] = append(rights[parts[1]], action)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = append(s.scopes, r.URL.Query()["scope"]...)
	name := fmt.Sprintf("token-%d", len(s.scopes))
	s.tokens[name] = rights
	w.Header().Set("Content-Type", "application/json")
	// A map of strings always encodes; a client that is gone needs no answer.
	_ = json.NewEncoder(w).Encode(map[string]string{"token": name})
}

// Scopes is every scope that a token was asked for.
func (s *Server) Scopes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.scopes)
}

// Authorized is every request outside the token server that carried
// credentials, as "HOST METHOD path".
func (s *Server) Authorized() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.secrets)
}
