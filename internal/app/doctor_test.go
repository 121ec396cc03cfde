package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/doctor"
	"github.com/kn-lite/kn-lite/internal/settings"
	"github.com/kn-lite/kn-lite/test/kubestub"
)

// knativeItself is what Knative's own installation leaves, as far as the stub has the kinds.
const knativeItself = `
apiVersion: v1
kind: Namespace
metadata: {name: knative-serving, labels: {app.kubernetes.io/version: 1.20.1}}
---
apiVersion: v1
kind: Namespace
metadata: {name: demo}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config-network, namespace: knative-serving}
data: {ingress-class: kourier.ingress.networking.knative.dev}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config-domain, namespace: knative-serving}
data: {fn.example: ""}
`

// examined is a cluster to be diagnosed.
type examined struct {
	stub   *kubestub.Server
	denied string        // a resource that access reviews deny everything with
	ahead  time.Duration // of the clock of the API server
}

// ServeHTTP implements http.Handler.
func (e *examined) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.ahead != 0 {
		w.Header().Set("Date", time.Now().Add(e.ahead).UTC().Format(http.TimeFormat))
	}
	if !strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") {
		e.stub.ServeHTTP(w, r)
		return
	}
	var review map[string]any
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	resource := review["spec"].(map[string]any)["resourceAttributes"].(map[string]any)["resource"]
	review["status"] = map[string]any{"allowed": resource != e.denied}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(review)
}

// diagnose returns the findings about a cluster, by name.
func diagnose(t *testing.T, change func(*examined)) map[string]doctor.Finding {
	t.Helper()
	stub, err := kubestub.New(knativeItself)
	if err != nil {
		t.Fatal(err)
	}
	e := &examined{stub: stub}
	change(e)
	server := httptest.NewTLSServer(e)
	defer server.Close()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	kubeconfig := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: it, clusters: [{name: it, cluster: {server: %q, insecure-skip-tls-verify: true}}],
contexts: [{name: it, context: {cluster: it, user: ada, namespace: demo}}], users: [{name: ada, user: {token: stub}}]}`, server.URL)
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	env := map[string]string{"XDG_CACHE_HOME": t.TempDir(), "PATH": os.Getenv("PATH")}
	a := &App{
		Settings: func() (*settings.Settings, error) {
			return settings.Load(settings.Sources{Env: func(string) string { return "" }})
		},
		Cluster: func(namespace string) (*cluster.Client, error) {
			return cluster.New(cluster.Options{Kubeconfig: file, Namespace: namespace, Env: func(string) string { return "" }})
		},
		Env: func(name string) string { return env[name] }, Now: time.Now, Version: "v0",
	}
	findings, err := a.Diagnose(t.Context(), DiagnoseRequest{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]doctor.Finding{}
	for _, f := range findings {
		out[f.Name] = f
		if f.Result == doctor.Fail && f.Fix == "" {
			t.Errorf("no fix: %+v", f)
		}
	}
	return out
}

func TestDiagnose(t *testing.T) {
	type says map[string]string // check: result and part of the detail
	for _, tt := range []struct {
		name   string
		change func(*examined)
		says   says
	}{
		{"all is well", func(*examined) {}, says{
			"settings": "ok ", "kubeconfig": "ok context it, namespace demo", "api-server": "ok version v1.", "clock": "ok ",
			"knative": "ok Knative Serving 1.20.1", "namespace": "ok demo", "rights": "ok ", "references": "skip ", "pull": "skip ",
			"ingress": "ok class kourier, domain fn.example", "route": "skip no service", "registry": "skip ", "func.yaml": "skip ",
		}},
		{"no Knative", func(e *examined) { e.stub.NoKnative = true }, says{
			"api-server": "ok ", "namespace": "ok ", "knative": "fail not installed", "rights": "skip needs knative", "route": "skip needs knative",
		}},
		{"no services to see", func(e *examined) { e.stub.Forbid = []string{"services"} }, says{
			"knative": "ok ", "rights": "fail not permitted to get services.serving.knative.dev", "route": "skip may not be listed",
		}},
		{"no revisions", func(e *examined) { e.denied = "revisions" }, says{
			"rights": "fail get revisions.serving.knative.dev, list revisions.serving.knative.dev",
		}},
		{"no pods", func(e *examined) { e.denied = "pods" }, says{"rights": "warn list pods, get pods/log"}},
		{"nothing of Knative's own", func(e *examined) { e.stub.Forbid = []string{"configmaps", "namespaces"} }, says{
			// The namespace is below /namespaces/, as all is.
			"api-server": "ok ", "knative": "ok Knative Serving is there",
		}},
		{"another time", func(e *examined) { e.ahead = time.Hour }, says{"clock": "fail behind the API server", "knative": "ok "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := diagnose(t, tt.change)
			for name, want := range tt.says {
				result, detail, _ := strings.Cut(want, " ")
				if f := found[name]; string(f.Result) != result || !strings.Contains(f.Detail, detail) {
					t.Errorf("%+v, want %s", f, want)
				}
			}
		})
	}
}

// What can be built has its programs in the doctor's table.
func TestDoctorKnowsEveryLanguage(t *testing.T) {
	for _, language := range build.Languages() {
		if f := doctor.Toolchain(language, func(string) bool { return false }); f.Result != doctor.Fail {
			t.Errorf("%s: %+v", language, f)
		}
	}
}
