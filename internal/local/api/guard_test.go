package api_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOnlyWithTheToken(t *testing.T) {
	p := start(t)
	for _, header := range []string{"Authorization: ", "Authorization: Bearer wrong", "Authorization: Bearer", "Authorization: Basic " + token, "Authorization: " + token, "Authorization: Bearer " + token + "x"} {
		for _, path := range []string{"/api/v1/namespaces", "/version", "/apis", "/openapi/v3", "/nothing"} {
			p.refused(401, metav1.StatusReasonUnauthorized, "Unauthorized", "GET", path, "", header)
		}
	}
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		if out := p.must(200, "GET", path, "", "Authorization: "); out.body != "ok" {
			t.Errorf("%s: %q", path, out.body)
		}
	}
}

func TestOnlyFromThisMachine(t *testing.T) {
	p := start(t)
	port := p.url[strings.LastIndex(p.url, ":"):]
	for _, host := range []string{"evil.example", "evil.example" + port, "127.0.0.1.evil.example", "10.0.0.1" + port, "localhost.evil.example" + port} {
		p.refused(403, metav1.StatusReasonForbidden, "loopback", "GET", "/api/v1/namespaces", "", "Host: "+host)
	}
	for _, host := range []string{"localhost" + port, "127.0.0.1" + port, "[::1]" + port, "127.0.0.1", "LOCALHOST"} {
		p.must(200, "GET", "/api/v1/namespaces", "", "Host: "+host)
	}
	own := strings.TrimPrefix(p.url, "http://")
	p.must(200, "GET", "/api/v1/namespaces", "", "Origin: http://"+own)
	for _, origin := range []string{"https://evil.example", "null", "http://127.0.0.1:1", "http://localhost" + port} {
		p.refused(403, metav1.StatusReasonForbidden, "pages of", "POST", "/api/v1/namespaces", `{"metadata":{"name":"x"}}`, "Origin: "+origin)
	}
	p.refused(403, metav1.StatusReasonForbidden, "other sites", "GET", "/api/v1/namespaces", "", "Sec-Fetch-Site: cross-site")
	p.must(404, "GET", "/api/v1/namespaces/x", "")
}
