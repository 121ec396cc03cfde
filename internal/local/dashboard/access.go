package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/kn-lite/kn-lite/internal/loopback"
)

// Key derives what a dashboard's URL carries from the platform's token. It opens the
// dashboard only: whoever finds it in a browser's history cannot use the API with it.
func Key(token string) string { return derive(token, "key in the URL") }

// URL is the address that opens the dashboard, with its key.
func URL(address, token string) string {
	return (&url.URL{Scheme: "http", Host: address, Path: "/", RawQuery: url.Values{"token": {Key(token)}}.Encode()}).String()
}

func derive(token, purpose string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("kn-lite dashboard: " + purpose))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil)))
}

// access decides who gets an answer. The key in the URL opens the page, and the cookie
// that one gets for it opens it again. What the page shows wants both: a browser sends the
// cookie to every port of this host, so that whoever listens at one of them has it, too.
// Programs show the platform's token as a bearer token instead.
type access struct{ token, key, session string }

func newAccess(token string) access {
	if token == "" {
		return access{}
	}
	return access{token: token, key: Key(token), session: derive(token, "session")}
}

// refusal is an answer to somebody who may not see more.
type refusal struct {
	status     int
	text, hint string
}

const howToOpen = "run `kn-lite local dashboard` in a terminal, and open the address that it prints"

// check returns nil for a request that may be answered.
func (a access) check(r *http.Request) *refusal {
	switch {
	case !loopback.IsHost(r.Host):
		// A name of somebody else's that has been made to lead here (DNS rebinding).
		return &refusal{http.StatusForbidden, "the dashboard does not answer to this host name", "use localhost"}
	case a.bearer(r):
		return nil
	case !isOwnPage(r):
		return &refusal{http.StatusForbidden, "the request comes from another site", howToOpen}
	case r.URL.Path == "/" && a.hasKey(r):
		return nil
	case !a.hasCookie(r):
		return &refusal{http.StatusUnauthorized, "the dashboard is for the user who runs the platform", howToOpen}
	case !isOfPage(r) && !equal(givenKey(r), a.key):
		return &refusal{http.StatusUnauthorized, "the page has no key to this platform", howToOpen}
	case !isRead(r) && !provesOrigin(r):
		return &refusal{http.StatusForbidden, "the request does not say where it comes from", howToOpen}
	}
	return nil
}

func (a access) bearer(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && equal(token, a.token)
}

func (a access) hasKey(r *http.Request) bool {
	return isRead(r) && equal(r.URL.Query().Get("token"), a.key)
}

func (a access) hasCookie(r *http.Request) bool {
	for _, c := range r.CookiesNamed(cookieName(r)) {
		if equal(c.Value, a.session) {
			return true
		}
	}
	return false
}

// isOfPage reports whether a request is for a part of the page, which is the same for
// everybody.
func isOfPage(r *http.Request) bool {
	return isRead(r) && (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/ui/"))
}

// givenKey is the key that the page shows with each request: an EventSource has no
// headers of its own.
func givenKey(r *http.Request) string {
	if key := r.Header.Get("Kn-Lite-Key"); key != "" {
		return key
	}
	return r.URL.Query().Get("key")
}

// cookie ends with the browser's session. Only scripts of the server can read it, and
// no other site can send it along.
func (a access) cookie(r *http.Request) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // plain HTTP on loopback: a secure cookie would not be stored by every browser
		Name: cookieName(r), Value: a.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// cookieName has the port, since browsers keep the cookies of all ports of a host in
// one jar: two platforms on this machine do not log each other out.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}
	return "kn-lite-" + port
}

func equal(given, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1
}

// isOwnPage reports whether no page of another origin is behind a request. Pages of
// other ports of localhost, a function's for example, are the same site to a browser,
// so that it sends the cookie with what they ask; they are another origin all the
// same. Opening the page itself from a link somewhere is fine: it shows nothing to
// where the link was.
func isOwnPage(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" && !strings.EqualFold(origin, "http://"+r.Host) {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	return r.URL.Path == "/" && r.Method == http.MethodGet &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// provesOrigin reports whether the browser says that our own page is behind a request.
// isOwnPage has compared already what it says.
func provesOrigin(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// protect sets what every answer has: nothing is loaded from elsewhere or runs inline,
// nothing is shown in a frame, stored, or told to other sites.
func protect(h http.Header) {
	for name, value := range map[string]string{
		"Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
	} {
		h.Set(name, value)
	}
}

func typeOf(name string) string {
	return map[string]string{
		".html": "text/html; charset=utf-8",
		".css":  "text/css; charset=utf-8",
		".js":   "text/javascript; charset=utf-8",
		".svg":  "image/svg+xml",
	}[path.Ext(name)]
}

// write answers people with text, since a page of ours would want a style sheet, and
// programs with JSON.
func (f *refusal) write(w http.ResponseWriter, r *http.Request) {
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="kn-lite"`)
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(f.status)
		_, _ = w.Write([]byte("kn-lite: " + f.text + ".\n\nTo see it, " + f.hint + ".\n"))
		return
	}
	writeJSON(w, f.status, problem{Error: f.text, Hint: f.hint})
}

// problem is the body of every answer that is an error.
type problem struct {
	Error   string   `json:"error"`
	Hint    string   `json:"hint,omitempty"`
	Changes []string `json:"changes,omitempty"` // what somebody else has changed
}
