package local

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Requests to this machine's own name are never a function's, and the other way round.
func TestFront(t *testing.T) {
	says := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	front := newFront(says("function"), says("registry"), says("metrics"), says("dashboard"))
	for _, c := range []struct{ host, path, want string }{
		{"hello.default.127.0.0.1.sslip.io:7080", "/v2/", "function"},
		{"hello.default.localhost:7080", "/metrics", "function"},
		{"hello.default.svc.cluster.local", "/", "function"},
		{"localhost:7080", "/v2/hello/tags/list", "registry"},
		{"127.0.0.1:7080", "/v2/", "registry"},
		{"[::1]:7080", "/metrics", "metrics"},
		{"LOCALHOST.", "/metrics", "metrics"},
		{"localhost:7080", "/", "dashboard"},
		{"127.0.0.1:7080", "/state", "dashboard"},
		{"hello.default.localhost:7080", "/", "function"},
		{"evil.example", "/v2/", "function"}, // which the router knows nothing of
	} {
		request := httptest.NewRequest(http.MethodGet, c.path, nil)
		request.Host = c.host
		answer := httptest.NewRecorder()
		front.ServeHTTP(answer, request)
		if answer.Body.String() != c.want {
			t.Errorf("%s%s: %q, want %q", c.host, c.path, answer.Body, c.want)
		}
	}
}

func TestUsedImages(t *testing.T) {
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello-v1"}}
	rev.Spec.Containers = []corev1.Container{{Image: "127.0.0.1:7080/hello:latest"}, {Image: "127.0.0.1:7080/side@sha256:bb"}}
	rev.Status.ContainerStatuses = []servingv1.ContainerStatus{{ImageDigest: "127.0.0.1:7080/hello@sha256:aa"}}
	if _, err := s.Create(rev); err != nil {
		t.Fatal(err)
	}
	if used := usedImages(s); len(used) != 2 || !used["sha256:aa"] || !used["sha256:bb"] {
		t.Errorf("used: %v", used)
	}
}

func TestMetricsWantTheToken(t *testing.T) {
	guarded := withToken("secret", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	for _, c := range []struct {
		name   string
		set    func(*http.Request)
		status int
	}{
		{"nothing", func(*http.Request) {}, http.StatusUnauthorized},
		{"another token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer guess") }, http.StatusUnauthorized},
		{"as a bearer", func(r *http.Request) { r.Header.Set("Authorization", "Bearer secret") }, http.StatusOK},
		{"as a password", func(r *http.Request) { r.SetBasicAuth("kn-lite", "secret") }, http.StatusOK},
	} {
		request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		c.set(request)
		answer := httptest.NewRecorder()
		guarded.ServeHTTP(answer, request)
		if answer.Code != c.status {
			t.Errorf("%s: status %d, want %d", c.name, answer.Code, c.status)
		}
	}
}
