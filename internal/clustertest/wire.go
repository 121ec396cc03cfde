package clustertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/cluster"
)

// Wire is a cluster as HTTP sees it: what a client library would hide.
type Wire struct {
	Server    string // URL
	Namespace string
	Token     string // "" where a certificate says who it is
	HTTP      *http.Client
	Stranger  *http.Client // without that certificate
}

// kubeconfig is the part of a kubeconfig that says how to reach its one cluster.
type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
			CA     []byte `json:"certificate-authority-data"`
		}
	}
	Users []struct {
		User struct {
			Token       string `json:"token"`
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
		}
	}
}

// NewWire reads a kubeconfig file with one cluster and one user.
func NewWire(t *testing.T, file string) *Wire {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config kubeconfig
	if err := yaml.Unmarshal(raw, &config); err != nil || len(config.Clusters) != 1 || len(config.Users) != 1 {
		t.Fatalf("%s: %v, want one cluster and one user", file, err)
	}
	at, user := config.Clusters[0].Cluster, config.Users[0].User
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(at.CA) > 0 {
		settings.RootCAs = x509.NewCertPool()
		settings.RootCAs.AppendCertsFromPEM(at.CA)
	}
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: settings.Clone()}}
	if len(user.Certificate) > 0 {
		pair, err := tls.X509KeyPair(user.Certificate, user.Key)
		if err != nil {
			t.Fatal(err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return &Wire{Server: at.Server, Token: user.Token, Stranger: stranger, HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: settings}}}
}

// Open gives a test a namespace on the cluster of a kubeconfig, and takes it away
// when the test ends.
func Open(t *testing.T, file, namespace string) *Target {
	t.Helper()
	wire := NewWire(t, file)
	wire.Namespace = namespace
	client, err := cluster.New(cluster.Options{Kubeconfig: file, Namespace: namespace, Env: func(string) string { return "" }, UserAgent: "kn-lite/test"})
	if err != nil {
		t.Fatal(err)
	}
	if a := wire.do(t.Context(), http.MethodPost, "/api/v1/namespaces", fmt.Sprintf(`{"metadata":{"name":%q}}`, namespace)); a.code != http.StatusCreated {
		t.Fatalf("namespace %s: %d %s", namespace, a.code, a.body)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if a := wire.do(ctx, http.MethodDelete, "/api/v1/namespaces/"+namespace, ""); a.code >= 300 {
			t.Errorf("namespace %s is left: %d %s", namespace, a.code, a.body)
		}
		wire.HTTP.CloseIdleConnections()
		wire.Stranger.CloseIdleConnections()
	})
	return &Target{Cluster: client, Splits: client.Traffic(), Builds: client, Client: client, Wire: wire}
}

// answer is what a request brought.
type answer struct {
	code   int
	body   string
	status metav1.Status // where the body is one
}

// do sends a request.
func (w *Wire) do(ctx context.Context, method, path, body string) answer {
	return read(w.send(ctx, w.HTTP, w.Token, method, path, body))
}

func read(response *http.Response, err error) answer {
	if err != nil {
		return answer{body: err.Error()}
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return answer{body: err.Error()}
	}
	a := answer{code: response.StatusCode, body: string(raw)}
	_ = json.Unmarshal(raw, &a.status)
	return a
}

func (w *Wire) send(ctx context.Context, client *http.Client, token, method, path, body string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, w.Server+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	switch method {
	case http.MethodPost, http.MethodPut:
		request.Header.Set("Content-Type", "application/json")
	case http.MethodPatch:
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	return client.Do(request)
}

// core and serving are the paths of a kind in the namespace.
func (w *Wire) core(kind string) string { return "/api/v1/namespaces/" + w.Namespace + "/" + kind }

func (w *Wire) serving(kind string) string {
	return "/apis/serving.knative.dev/v1/namespaces/" + w.Namespace + "/" + kind
}

// testAnswers: each refusal has the status code, the reason and the details by which
// clients know it.
func testAnswers(s *suite) {
	const service = `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"fn"},"spec":{"template":{"spec":{"containers":[{"image":"registry.example/fn"}]}}}}`
	services := s.Wire.serving("services")
	expect := func(what string, a answer, code int, reason metav1.StatusReason, says string) {
		s.Helper()
		if a.code != code || a.status.Kind != "Status" || a.status.Reason != reason || !strings.Contains(a.status.Message, says) {
			s.Errorf("%s: %d %s, want %d, %s and %q", what, a.code, a.body, code, reason, says)
		}
	}
	do := func(method, path, body string) answer { return s.Wire.do(s.ctx, method, path, body) }

	expect("no such service", do("GET", services+"/none", ""), 404, metav1.StatusReasonNotFound, `services.serving.knative.dev "none" not found`)
	expect("no such secret", do("GET", s.Wire.core("secrets/none"), ""), 404, metav1.StatusReasonNotFound, `secrets "none" not found`)
	expect("no such namespace", do("POST", "/api/v1/namespaces/"+s.Wire.Namespace+"-none/secrets", `{"metadata":{"name":"a"}}`), 404, metav1.StatusReasonNotFound, "namespaces")
	if a := do("GET", "/apis/none.example/v1/nothings", ""); a.code != 404 {
		s.Errorf("no such kind: %d %s", a.code, a.body)
	}
	expect("not JSON", do("POST", s.Wire.core("secrets"), `{"metadata":`), 400, metav1.StatusReasonBadRequest, "")
	expect("an invalid name", do("POST", s.Wire.core("secrets"), `{"metadata":{"name":"Not_A_Name"}}`), 422, metav1.StatusReasonInvalid, "Invalid value")
	bad := strings.Replace(service, "registry.example/fn", "NOT AN IMAGE", 1)
	expect("what Knative refuses", do("POST", services, bad), 400, metav1.StatusReasonBadRequest, "validation failed")

	if a := do("POST", services, service); a.code != 201 {
		s.Fatalf("create: %d %s", a.code, a.body)
	}
	again := do("POST", services, service)
	expect("the same name again", again, 409, metav1.StatusReasonAlreadyExists, `"fn" already exists`)
	if d := again.status.Details; d == nil || d.Name != "fn" || d.Group != "serving.knative.dev" || d.Kind != "services" {
		s.Errorf("the details are %+v", d)
	}
	stale := strings.Replace(service, `"name":"fn"`, `"name":"fn","resourceVersion":"1"`, 1)
	expect("an old version", do("PUT", services+"/fn", stale), 409, metav1.StatusReasonConflict, "the object has been modified")
	expect("another name than the path's", do("PUT", services+"/fn", strings.Replace(stale, `"fn"`, `"other"`, 1)), 400, metav1.StatusReasonBadRequest, "")
	if a := read(s.Wire.send(s.ctx, s.Wire.Stranger, "not-a-token", "GET", services, "")); a.code != 401 || a.status.Reason != metav1.StatusReasonUnauthorized {
		s.Errorf("a wrong token: %d %s", a.code, a.body)
	}
	s.forbidden()
}

// forbidden: nothing new begins in a namespace that is about to go.
func (s *suite) forbidden() {
	s.Helper()
	namespace := s.Wire.Namespace + "-ending"
	path := "/api/v1/namespaces/" + namespace
	for _, made := range []answer{
		s.Wire.do(s.ctx, "POST", "/api/v1/namespaces", fmt.Sprintf(`{"metadata":{"name":%q}}`, namespace)),
		s.Wire.do(s.ctx, "POST", path+"/configmaps", `{"metadata":{"name":"stays","finalizers":["example.com/stays"]}}`),
	} {
		if made.code != http.StatusCreated {
			s.Fatalf("%d %s", made.code, made.body)
		}
	}
	defer func() {
		if a := s.Wire.do(s.ctx, "PATCH", path+"/configmaps/stays", `{"metadata":{"finalizers":null}}`); a.code != http.StatusOK {
			s.Errorf("%d %s", a.code, a.body)
		}
	}()
	if a := s.Wire.do(s.ctx, "DELETE", path, ""); a.code != http.StatusOK {
		s.Fatalf("%d %s", a.code, a.body)
	}
	a := s.Wire.do(s.ctx, "POST", path+"/secrets", `{"metadata":{"name":"late"}}`)
	if a.code != http.StatusForbidden || a.status.Reason != metav1.StatusReasonForbidden || !strings.Contains(a.status.Message, "being terminated") {
		s.Errorf("a secret in a namespace that ends: %d %s", a.code, a.body)
	}
}
