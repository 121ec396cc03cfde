package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/local/dashboard"
)

func TestAccess(t *testing.T) {
	b := newBench(t)
	b.deploy("secret", to("secret-v1", 100))
	host := strings.TrimPrefix(b.server.URL, "http://")
	_, port, _ := strings.Cut(host, ":")
	withKey, err := url.Parse(dashboard.URL(host, token))
	if err != nil {
		t.Fatal(err)
	}
	status, page, header := b.ask("GET", withKey.RequestURI(), "", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
	if status != http.StatusOK || !strings.Contains(page, "<title>kn-lite") {
		t.Fatalf("the page: %d", status)
	}
	set := header.Get("Set-Cookie")
	if !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") || strings.Contains(set, token) || strings.Contains(set, dashboard.Key(token)) {
		t.Fatalf("Set-Cookie: %s", set)
	}
	cookie := "Cookie: " + set[:strings.Index(set, ";")]
	if !strings.HasPrefix(cookie, "Cookie: kn-lite-"+port+"=") {
		t.Errorf("%s is not named after port %s", cookie, port)
	}
	key := "Kn-Lite-Key: " + dashboard.Key(token)
	const split = `{"namespace":"default","service":"secret","resourceVersion":"1","targets":[]}`
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		want         int
	}{
		"nothing":                       {"GET", "/", nil, 401},
		"nothing, a style sheet":        {"GET", "/ui/style.css", nil, 401},
		"nothing, state":                {"GET", "/state", nil, 401},
		"nothing, events":               {"GET", "/events", nil, 401},
		"nothing, logs":                 {"GET", "/logs?namespace=default&revision=secret-v1", nil, 401},
		"nothing, split":                {"POST", "/split", []string{"Content-Type: application/json"}, 401},
		"nothing, no such page":         {"GET", "/none", nil, 401},
		"cookie":                        {"GET", "/", []string{cookie}, 200},
		"cookie, state":                 {"GET", "/state", []string{cookie, key, "Sec-Fetch-Site: same-origin"}, 200},
		"cookie, asset":                 {"GET", "/ui/app.js", []string{cookie}, 200},
		"cookie, no such page":          {"GET", "/none", []string{cookie, key}, 404},
		"cookie, out of the assets":     {"GET", "/ui/..%2fdashboard.go", []string{cookie}, 404},
		"cookie, HEAD":                  {"HEAD", "/state", []string{cookie, key}, 200},
		"cookie alone, state":           {"GET", "/state", []string{cookie}, 401},
		"cookie alone, events":          {"GET", "/events", []string{cookie}, 401},
		"cookie alone, logs":            {"GET", "/logs?namespace=default&revision=secret-v1", []string{cookie}, 401},
		"cookie alone, split":           {"POST", "/split", []string{cookie, "Content-Type: application/json", "Origin: http://" + host}, 401},
		"cookie alone, none":            {"GET", "/none", []string{cookie}, 401},
		"cookie, a wrong key":           {"GET", "/state", []string{cookie, key + "x"}, 401},
		"cookie, key in query":          {"GET", "/state?key=" + dashboard.Key(token), []string{cookie}, 200},
		"the key alone, state":          {"GET", "/state", []string{key}, 401},
		"cookie of another port":        {"GET", "/state", []string{"Cookie: kn-lite-1=" + strings.SplitN(cookie, "=", 2)[1]}, 401},
		"another cookie":                {"GET", "/state", []string{cookie[:len(cookie)-4] + "aaaa", key}, 401},
		"bearer":                        {"GET", "/state", []string{bearer}, 200},
		"bearer, another":               {"GET", "/state", []string{bearer + "x"}, 401},
		"bearer, empty":                 {"GET", "/state", []string{"Authorization: Bearer "}, 401},
		"the key as bearer":             {"GET", "/state", []string{"Authorization: Bearer " + dashboard.Key(token)}, 401},
		"the key for something else":    {"GET", "/state?token=" + dashboard.Key(token), nil, 401},
		"the platform's token as key":   {"GET", "/?token=" + token, nil, 401},
		"an empty key":                  {"GET", "/?token=", nil, 401},
		"another site's script":         {"GET", "/state", []string{cookie, key, "Sec-Fetch-Site: cross-site"}, 403},
		"another port's script":         {"GET", "/state", []string{cookie, key, "Sec-Fetch-Site: same-site"}, 403},
		"another site's image of /":     {"GET", "/", []string{cookie, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, 403},
		"another site's frame of /":     {"GET", "/", []string{cookie, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 403},
		"another origin":                {"GET", "/state", []string{cookie, key, "Origin: http://evil.example"}, 403},
		"no origin":                     {"GET", "/state", []string{cookie, key, "Origin: null"}, 403},
		"the origin of another port":    {"GET", "/state", []string{cookie, key, "Origin: http://127.0.0.1:1"}, 403},
		"a name that leads here":        {"GET", "/state", []string{cookie, key, "Host: evil.example:" + port}, 403},
		"the same, bearer":              {"GET", "/state", []string{bearer, "Host: evil.example"}, 403},
		"localhost in another name":     {"GET", "/state", []string{bearer, "Host: localhost.evil.example"}, 403},
		"a function's name":             {"GET", "/state", []string{bearer, "Host: a.default.localhost:" + port}, 403},
		"another address":               {"GET", "/state", []string{bearer, "Host: 192.0.2.1:" + port}, 403},
		"localhost":                     {"GET", "/state", []string{bearer, "Host: LocalHost:" + port}, 200},
		"loopback of IPv6":              {"GET", "/state", []string{bearer, "Host: [::1]:" + port}, 200},
		"split with no origin":          {"POST", "/split", []string{cookie, key, "Content-Type: application/json"}, 403},
		"split of another port's page":  {"POST", "/split", []string{cookie, key, "Content-Type: application/json", "Sec-Fetch-Site: same-site", "Origin: http://localhost:1"}, 403},
		"split as a form":               {"POST", "/split", []string{cookie, key, "Content-Type: text/plain", "Sec-Fetch-Site: same-origin"}, 415},
		"split of our page":             {"POST", "/split", []string{cookie, key, "Content-Type: application/json", "Sec-Fetch-Site: same-origin"}, 409},
		"split of our page, by origin":  {"POST", "/split", []string{cookie, key, "Content-Type: application/json", "Origin: http://" + host}, 409},
		"split by GET":                  {"GET", "/split", []string{cookie, key}, 405},
		"split by a program":            {"POST", "/split", []string{bearer, "Content-Type: application/json; charset=utf-8"}, 409},
		"the key in a POST opens no / ": {"POST", "/?token=" + dashboard.Key(token), nil, 401},
	} {
		t.Run(name, func(t *testing.T) {
			body := ""
			if c.method == "POST" {
				body = split
			}
			status, answer, header := b.ask(c.method, c.path, body, c.headers...)
			if status != c.want {
				t.Errorf("%d, want %d: %s", status, c.want, answer)
			}
			if status >= 400 && status != 409 && strings.Contains(answer, "secret-v1") {
				t.Errorf("says %s", answer)
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
				if got := header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
				t.Errorf("policy %q", policy)
			}
			if header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("others may read it")
			}
		})
	}
}

// Somebody who opens the address without the key reads what to do.
func TestRefusalForPeople(t *testing.T) {
	b := newBench(t)
	status, body, header := b.ask("GET", "/", "", "Accept: text/html,*/*")
	if status != http.StatusUnauthorized || !strings.Contains(body, "kn-lite local dashboard") || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %s: %s", status, header.Get("Content-Type"), body)
	}
}

// A platform without a token lets nobody in, rather than everybody.
func TestNoToken(t *testing.T) {
	handler := dashboard.New(dashboard.Options{})
	for _, header := range []string{"", "Bearer "} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/?token=", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", header)
		r.AddCookie(&http.Cookie{Name: "kn-lite-80", Value: ""})
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%q: %d", header, w.Code)
		}
	}
}

func TestTypes(t *testing.T) {
	b := newBench(t)
	for file, want := range map[string]string{"app.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"} {
		status, _, header := b.ask("GET", "/ui/"+file, "", bearer)
		if status != http.StatusOK || header.Get("Content-Type") != want {
			t.Errorf("%s: %d %s", file, status, header.Get("Content-Type"))
		}
	}
	if status, _, header := b.ask("GET", "/", "", bearer); status != http.StatusOK || header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("/: %d %s", status, header.Get("Content-Type"))
	}
}
