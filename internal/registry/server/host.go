package server

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/loopback"
)

// rejectForeign refuses requests that are not meant for this registry. A page in
// somebody's browser can send requests to addresses of this machine: under a name of
// its own that stands for such an address (DNS rebinding, so the name is checked), or
// from its own origin (which browsers say).
func rejectForeign(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsOwnName(r.Host, names...) {
			writeError(w, http.StatusMisdirectedRequest, "DENIED", "this registry answers to localhost, to addresses in numbers, and to the names it was started with (--name)")
			return
		}
		if isForeignPage(r) {
			writeError(w, http.StatusForbidden, "DENIED", "pages of other origins have no business here")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsOwnName reports whether host, with or without a port, is localhost, a number,
// which no DNS answer can stand behind, or one of names.
func IsOwnName(host string, names ...string) bool {
	name := strings.ToLower(strings.TrimSuffix(loopback.Hostname(host), "."))
	if name == "localhost" || slices.Contains(names, name) {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

func isForeignPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return true
	}
	for _, from := range r.Header.Values("Origin") {
		if u, err := url.Parse(from); err != nil || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	return false
}
