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

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/rollout"
)

// measured is an API server that has nothing but what its paths answer.
func measured(t *testing.T, paths map[string]any) *App {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, key := range []string{r.URL.Path + "?" + r.URL.Query().Get("labelSelector"), r.URL.Path} {
			switch body := paths[key].(type) {
			case string:
				w.Header().Set("Content-Type", "text/plain; version=0.0.4")
				_, _ = w.Write([]byte(body))
				return
			case map[string]any:
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(body)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"details":{"name":"x","kind":"x"}}`))
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	kubeconfig := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],`+
		`"users":[{"name":"c","user":{}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"c","namespace":"demo"}}]}`, server.URL)
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return &App{
		Cluster: func(namespace string) (*cluster.Client, error) {
			return cluster.New(cluster.Options{Kubeconfig: file, Namespace: namespace, Env: func(string) string { return "" }})
		},
		Progress: &progresstest.Recorder{}, Env: func(string) string { return "" }, Now: time.Now,
	}
}

func knativeIngress(class string) map[string]any {
	splits := []any{map[string]any{"serviceName": "fn-v1", "percent": 90}, map[string]any{"serviceName": "fn-v2", "percent": 10}}
	return map[string]any{
		"kind": "Ingress", "metadata": map[string]any{"annotations": map[string]any{"networking.knative.dev/ingress.class": class + ".ingress.networking.knative.dev"}},
		"spec": map[string]any{"rules": []any{
			map[string]any{"http": map[string]any{"paths": []any{map[string]any{"splits": splits[:1]}}}},
			map[string]any{"http": map[string]any{"paths": []any{map[string]any{"splits": splits}}}},
		}},
	}
}

func podList(names ...string) map[string]any {
	var items []any
	for _, name := range names {
		namespace, pod, _ := strings.Cut(name, "/")
		revision, _, _ := strings.Cut(pod, "-pod")
		items = append(items, map[string]any{
			"metadata": map[string]any{"name": pod, "namespace": namespace, "labels": map[string]any{"serving.knative.dev/revision": revision}},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "c"}}},
			"status":   map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
		})
	}
	return map[string]any{"kind": "PodList", "apiVersion": "v1", "items": items}
}

const (
	ingressPath = "/apis/networking.internal.knative.dev/v1alpha1/namespaces/demo/ingresses/fn"
	envoyText   = "# TYPE envoy_cluster_upstream_rq_xx counter\n" + `envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="demo/fn-v2"} 3` + "\n"
	queueText   = "kn_serving_queue_depth 0\n" + `kn_serving_invocation_duration_seconds_count{http_response_status_code="500"} 2` + "\n"
)

// Each source is found where it is usual, named, and read as a whole.
func TestSignals(t *testing.T) {
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Query().Get("query"), `envoy_cluster_name=~"demo/fn-v2|demo/fn-v1"`) {
			_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[]}}`))
			return
		}
		_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[
			{"metric":{"__name__":"envoy_cluster_upstream_rq_xx","envoy_response_code_class":"5","envoy_cluster_name":"demo/fn-v2","pod":"a"},"value":[1700000000.1,"4"]}]}}`))
	}))
	defer prometheus.Close()
	queueSelector := "?serving.knative.dev/revision in (fn-v2,fn-v1)"
	for _, tt := range []struct {
		name    string
		paths   map[string]any
		request RolloutRequest
		source  string
		failed  float64
	}{
		{"prometheus", nil, RolloutRequest{Prometheus: prometheus.URL}, "Prometheus at 127.0.0.1", 4},
		{"kourier, two pods", map[string]any{
			ingressPath: knativeIngress("kourier"),
			"/api/v1/namespaces/kourier-system/pods?app=3scale-kourier-gateway":                podList("kourier-system/g1", "kourier-system/g2"),
			"/api/v1/namespaces/kourier-system/pods/g1:9000/proxy/stats/prometheus":            envoyText,
			"/api/v1/namespaces/kourier-system/pods/g2:9000/proxy/stats/prometheus":            envoyText,
			"/api/v1/namespaces/demo/pods" + queueSelector:                                     podList("demo/fn-v2-pod"),
			"/api/v1/namespaces/demo/pods/fn-v2-pod:" + "9091" + "/proxy/metrics":              queueText,
			"/api/v1/namespaces/kourier-system/pods/not-a-gateway:9000/proxy/stats/prometheus": envoyText,
		}, RolloutRequest{}, "Kourier's metrics", 6},
		{"istio, on its other port", map[string]any{
			ingressPath:                         knativeIngress("istio"),
			"/api/v1/pods?istio=ingressgateway": podList("gateways/g1"),
			"/api/v1/namespaces/gateways/pods/g1:15090/proxy/stats/prometheus": `istio_requests_total{reporter="source",response_code="503",destination_service_name="fn-v2",destination_service_namespace="demo"} 5`,
		}, RolloutRequest{}, "Istio's metrics", 5},
		{"traefik, by the lines of the split", map[string]any{
			ingressPath: knativeIngress("traefik"),
			"/api/v1/namespaces/traefik/pods?app.kubernetes.io/name=traefik": podList("traefik/g1"),
			"/api/v1/namespaces/traefik/pods/g1:9100/proxy/metrics": `traefik_service_requests_total{code="502",service="demo-fn-rule-1-path-0-split-1@knative"} 7` + "\n" +
				`traefik_service_requests_total{code="502",service="demo-fn-rule-1-path-0-split-0@knative"} 70`,
		}, RolloutRequest{}, "Traefik's metrics", 7},
		{"queue-proxy, where the gateway cannot be asked", map[string]any{
			ingressPath: knativeIngress("traefik"),
			"/api/v1/namespaces/demo/pods" + queueSelector:              podList("demo/fn-v2-pod", "demo/fn-v1-pod"),
			"/api/v1/namespaces/demo/pods/fn-v2-pod:9091/proxy/metrics": queueText,
			"/api/v1/namespaces/demo/pods/fn-v1-pod:9091/proxy/metrics": queueText,
		}, RolloutRequest{}, "queue-proxy's metrics", 2},
		{"nothing is measured", map[string]any{ingressPath: knativeIngress("other")}, RolloutRequest{}, "this command's own requests", 0},
		{"what is asked for and not what comes first", map[string]any{
			ingressPath: knativeIngress("kourier"),
			"/api/v1/namespaces/kourier-system/pods?app=3scale-kourier-gateway":     podList("kourier-system/g1"),
			"/api/v1/namespaces/kourier-system/pods/g1:9000/proxy/stats/prometheus": envoyText,
		}, RolloutRequest{Signal: SignalProbes}, "this command's own requests", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := measured(t, tt.paths)
			client, err := a.Cluster("demo")
			if err != nil {
				t.Fatal(err)
			}
			tt.request.Service = "fn"
			s := &signals{App: a, client: client, request: tt.request}
			state := &rollout.State{Candidate: "fn-v2", Stable: "fn-v1", Plan: rollout.Defaults()}
			source, tag, err := s.choose(t.Context(), state)
			if err != nil || !strings.HasPrefix(source.Name(), tt.source) {
				t.Fatalf("%v, %v", source, err)
			}
			if probes := tt.source == "this command's own requests"; probes {
				if tag != probeTag {
					t.Errorf("the tag %q", tag)
				}
				return
			}
			points, err := source.Read(t.Context())
			var m rollout.Meter
			m.Add(nil)
			m.Add(points)
			if got := m.Totals("fn-v2").Failed; err != nil || got != tt.failed || tag != "" {
				t.Errorf("%v failed, want %v; %v, tag %q", got, tt.failed, err, tag)
			}
		})
	}
}

// A signal that was asked for is that one or an error.
func TestSignalsThatAreNotToBeHad(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	for _, tt := range []struct {
		request RolloutRequest
		kind    fault.Kind
		says    string
	}{
		{RolloutRequest{Prometheus: gone.URL}, fault.Failure, "not one of Prometheus"},
		{RolloutRequest{Prometheus: "prometheus:9090"}, fault.Usage, "is not the address"},
		{RolloutRequest{Signal: SignalPrometheus}, fault.NotFound, "no Prometheus was given"},
		{RolloutRequest{Signal: SignalPlatform}, fault.NotFound, "is not the embedded platform"},
		{RolloutRequest{Signal: SignalIngress}, fault.NotFound, "class \"contour\""},
		{RolloutRequest{Signal: SignalQueue}, fault.NotFound, "no pod of fn-v2 or fn-v1 runs"},
		{RolloutRequest{Signal: SignalProbes, ProbePath: "http://elsewhere/"}, fault.Usage, "is no path"},
	} {
		a := measured(t, map[string]any{ingressPath: knativeIngress("contour"), "/api/v1/namespaces/demo/pods": podList()})
		client, err := a.Cluster("demo")
		if err != nil {
			t.Fatal(err)
		}
		tt.request.Service = "fn"
		s := &signals{App: a, client: client, request: tt.request}
		_, _, err = s.choose(t.Context(), &rollout.State{Candidate: "fn-v2", Stable: "fn-v1", Plan: rollout.Defaults()})
		if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v (%v)", tt.request, err, fault.KindOf(err))
		}
	}
}
