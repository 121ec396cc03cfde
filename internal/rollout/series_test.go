package rollout

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const platformText = `# HELP revision_app_request_count Requests that were answered
# TYPE revision_app_request_count counter
revision_app_request_count{namespace_name="default",service_name="fn",configuration_name="fn",revision_name="fn-v2",response_code="200",response_code_class="2xx",route_tag=""} 30
revision_app_request_count{namespace_name="default",service_name="fn",configuration_name="fn",revision_name="fn-v2",response_code="503",response_code_class="5xx",route_tag=""} 2
revision_app_request_count{namespace_name="other",service_name="fn",configuration_name="fn",revision_name="fn-v2",response_code="200",response_code_class="2xx",route_tag=""} 7
revision_app_request_latencies_bucket{namespace_name="default",revision_name="fn-v2",le="50"} 20
revision_app_request_latencies_bucket{namespace_name="default",revision_name="fn-v2",le="+Inf"} 32
revision_queue_depth{namespace_name="default",revision_name="fn-v2"} 1
`

func TestDialects(t *testing.T) {
	for _, tt := range []struct {
		name    string
		dialect Dialect
		text    string
		served  float64
		failed  float64
		bounds  map[float64]float64
	}{
		{"embedded platform", KnativeDialect(), platformText, 30, 2, map[float64]float64{0.05: 20, math.Inf(1): 32}},
		{"queue-proxy", QueueDialect(), `
kn_serving_invocation_duration_seconds_bucket{http_response_status_code="200",otel_scope_name="x",le="0.25"} 4
kn_serving_invocation_duration_seconds_bucket{http_response_status_code="200",le="+Inf"} 5
kn_serving_invocation_duration_seconds_count{http_response_status_code="200"} 5
kn_serving_invocation_duration_seconds_count{http_response_status_code="500"} 1
kn_serving_invocation_duration_seconds_sum{http_response_status_code="200"} 5
`, 5, 1, map[float64]float64{0.25: 4, math.Inf(1): 5}},
		{"kourier", EnvoyDialect(), `
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="default/fn-v2"} 8
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="default/fn-v2"} 3
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="other/fn-v2"} 90
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="default/fn-v2",le="500"} 11
`, 8, 3, map[float64]float64{0.5: 11}},
		{"istio", IstioDialect(), `
istio_requests_total{reporter="source",response_code="200",destination_service_name="fn-v2",destination_service_namespace="default"} 9 1700000000000
istio_requests_total{reporter="destination",response_code="200",destination_service_name="fn-v2",destination_service_namespace="default"} 9
istio_requests_total{reporter="source",response_code="503",destination_service_name="fn-v2",destination_service_namespace="other"} 9
istio_request_duration_milliseconds_bucket{reporter="source",destination_service_name="fn-v2",destination_service_namespace="default",le="1000"} 9
`, 9, 0, map[float64]float64{1: 9}},
		{"traefik", TraefikDialect(func(service string) string {
			return map[string]string{"default-fn-rule-0-path-0-split-1@knative": "fn-v2"}[service]
		}), `
traefik_service_requests_total{code="200",method="GET",protocol="http",service="default-fn-rule-0-path-0-split-0@knative"} 70
traefik_service_requests_total{code="200",method="GET",protocol="http",service="default-fn-rule-0-path-0-split-1@knative"} 6
traefik_service_requests_total{code="502",method="GET",protocol="http",service="default-fn-rule-0-path-0-split-1@knative"} 4
traefik_service_request_duration_seconds_bucket{code="200",service="default-fn-rule-0-path-0-split-1@knative",le="0.3"} 5
`, 6, 4, map[float64]float64{0.3: 5}},
	} {
		all := ParseText([]byte(tt.text), tt.dialect.Wants)
		points := tt.dialect.Points(all, "pod-1", "default", "fn-v2")
		var m Meter
		m.Add(nil)
		m.Add(points)
		got := m.Totals("fn-v2")
		if got.Served != tt.served || got.Failed != tt.failed {
			t.Errorf("%s: %v served and %v failed, want %v and %v", tt.name, got.Served, got.Failed, tt.served, tt.failed)
		}
		if diff := cmp.Diff(tt.bounds, got.Buckets); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestParseText(t *testing.T) {
	for line, want := range map[string]*Series{
		`m 1`:                        {Name: "m", Labels: map[string]string{}, Value: 1},
		`m{} 2`:                      {Name: "m", Labels: map[string]string{}, Value: 2},
		`m{a="b\"c\\d\ne",} 3`:       {Name: "m", Labels: map[string]string{"a": "b\"c\\d\ne"}, Value: 3},
		`m{a="}",b = "," } +Inf 123`: {Name: "m", Labels: map[string]string{"a": "}", "b": ","}, Value: math.Inf(1)},
		`m{a="b} 3`:                  nil,
		`m{a="b\`:                    nil,
		`m{a} 3`:                     nil,
		`m{`:                         nil,
		`m{a="b"}`:                   nil,
		`m x`:                        nil,
		`other 1`:                    nil,
		`# m 1`:                      nil,
		``:                           nil,
	} {
		got := ParseText([]byte(line), func(name string) bool { return name == "m" })
		if want == nil {
			if len(got) != 0 {
				t.Errorf("%q is %+v", line, got)
			}
			continue
		}
		if len(got) != 1 || cmp.Diff(*want, got[0]) != "" {
			t.Errorf("%q is %+v, want %+v", line, got, *want)
		}
	}
}

func FuzzParseText(f *testing.F) {
	f.Add(platformText)
	f.Add(`m{a="b\"c",} 3 4`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range ParseText([]byte(text), func(string) bool { return true }) {
			if s.Name == "" || strings.ContainsAny(s.Name, "{} \n") {
				t.Errorf("%q is no name", s.Name)
			}
		}
	})
}
