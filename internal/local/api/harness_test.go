package api_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/kn-lite/kn-lite/internal/local/api"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

const token = "s3cret"

// platform is a server over a store in memory, with the namespace default.
type platform struct {
	t       *testing.T
	store   *store.Store
	handler http.Handler
	url     string
}

func start(t *testing.T, options ...func(*api.Options)) *platform {
	t.Helper()
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	o := api.Options{Store: s, Token: token, Version: "1.2.3", Report: func(m string) { t.Log(m) }}
	for _, option := range options {
		option(&o)
	}
	handler := api.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- handler.Run(ctx) }()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = s.Close()
	})
	p := &platform{t, s, handler, server.URL}
	p.must(201, "POST", "/api/v1/namespaces", `{"metadata":{"name":"default"}}`)
	return p
}

type answer struct {
	code   int
	header http.Header
	body   string
	unstructured.Unstructured
}

// do sends a request. Headers are "Name: value".
func (p *platform) do(method, path, body string, headers ...string) *answer {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if method == "PATCH" {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
		if name == "Host" {
			request.Host = value
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	out := &answer{code: response.StatusCode, header: response.Header, body: string(raw)}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &out.Object); err != nil {
			p.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return out
}

func (p *platform) must(code int, method, path, body string, headers ...string) *answer {
	p.t.Helper()
	out := p.do(method, path, body, headers...)
	if out.code != code {
		p.t.Fatalf("%s %s: %d instead of %d: %s", method, path, out.code, code, out.body)
	}
	return out
}

// refused wants an error of the API with a code, a reason and words in its message.
func (p *platform) refused(code int, reason metav1.StatusReason, words, method, path, body string, headers ...string) {
	p.t.Helper()
	out := p.do(method, path, body, headers...)
	var status metav1.Status
	if err := json.Unmarshal([]byte(out.body), &status); err != nil {
		p.t.Fatalf("%s %s: %v in %s", method, path, err, out.body)
	}
	if out.code != code || int(status.Code) != code || status.Reason != reason || status.Kind != "Status" || status.Status != metav1.StatusFailure || !strings.Contains(status.Message, words) {
		p.t.Errorf("%s %s: %d %s %q instead of %d %s %q", method, path, out.code, status.Reason, status.Message, code, reason, words)
	}
}

// field is a value in an object, as text.
func (a *answer) field(path ...string) string {
	value, _, _ := unstructured.NestedFieldNoCopy(a.Object, path...)
	if text, ok := value.(string); ok {
		return text
	}
	raw, _ := json.Marshal(value)
	return string(raw)
}

func (a *answer) names() string {
	items, _, _ := unstructured.NestedSlice(a.Object, "items")
	var out []string
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			name, _, _ := unstructured.NestedString(object, "metadata", "name")
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

const services = "/apis/serving.knative.dev/v1/namespaces/default/services"

func ksvc(name string, more ...string) string {
	return `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"` + name + `"` + strings.Join(more, "") + `},
		"spec":{"template":{"spec":{"containers":[{"image":"example.com/fn/` + name + `"}]}}}}`
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func configMap(namespace, name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}
