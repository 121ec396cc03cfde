package cluster

import (
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestMetricsThroughTheServer(t *testing.T) {
	c := stub(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			_, _ = w.Write([]byte("own 1\n"))
		case "/api/v1/namespaces/kourier-system/pods/gateway-1:9000/proxy/stats/prometheus":
			_, _ = w.Write([]byte("envoy 2\n"))
		default:
			answer(w, http.StatusForbidden, status(http.StatusForbidden, metav1.StatusReasonForbidden, `pods "gateway-2" is forbidden: User "ada" cannot get resource "pods/proxy"`, &metav1.StatusDetails{Name: "gateway-2", Kind: "pods"}))
		}
	})
	if raw, err := c.ServerMetrics(t.Context()); err != nil || string(raw) != "own 1\n" {
		t.Errorf("%q, %v", raw, err)
	}
	if raw, err := c.PodMetrics(t.Context(), "kourier-system", "gateway-1", 9000, "/stats/prometheus"); err != nil || string(raw) != "envoy 2\n" {
		t.Errorf("%q, %v", raw, err)
	}
	if _, err := c.PodMetrics(t.Context(), "kourier-system", "gateway-2", 9000, "/stats/prometheus"); fault.KindOf(err) != fault.Auth {
		t.Errorf("not permitted: %v", err)
	}
	if _, err := c.PodsIn(t.Context(), "kourier-system", "app=x"); fault.KindOf(err) != fault.Auth {
		t.Errorf("not permitted: %v", err)
	}
}
