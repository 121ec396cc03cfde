package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/rollout"
)

// gatewayKind is where the pods of an ingress's gateway are, and serve their metrics.
type gatewayKind struct {
	name      string
	namespace string // where it usually is
	selector  string
	ports     []int
	path      string
	dialect   func() rollout.Dialect
}

// gateways returns the kinds by the class of Knative's ingress.
func gateways() map[string]gatewayKind {
	return map[string]gatewayKind{
		"kourier": {"Kourier's", "kourier-system", "app=3scale-kourier-gateway", []int{9000}, "/stats/prometheus", rollout.EnvoyDialect},
		"istio":   {"Istio's", "istio-system", "istio=ingressgateway", []int{15020, 15090}, "/stats/prometheus", rollout.IstioDialect},
		// Traefik's names of services say nothing by themselves: see traefikRevisions.
		"traefik": {"Traefik's", "traefik", "app.kubernetes.io/name=traefik", []int{9100, 8080}, "/metrics", nil},
	}
}

// gateway reads the metrics of the ingress's gateway through the API server.
func (s *signals) gateway(ctx context.Context, _ *rollout.State) (rollout.Source, string, error) {
	routes, err := s.client.IngressRoutes(ctx, s.request.Service)
	if err != nil {
		return nil, "", err
	}
	kind, known := gateways()[routes.Class]
	if !known {
		return nil, "", signalError(SignalIngress, "how an ingress of class %q counts requests is not known", routes.Class).
			WithHint("those of %s are", strings.Join(slices.Sorted(maps.Keys(gateways())), ", "))
	}
	pods, err := s.gatewayPods(ctx, kind)
	if err != nil {
		return nil, "", err
	}
	g := &gatewayReader{signals: s, kind: kind}
	if g.port, err = g.findPort(ctx, pods[0]); err != nil {
		return nil, "", err
	}
	source := &scraper{name: kind.name + " metrics", read: g.read}
	_, err = source.Read(ctx)
	return source, "", err
}

// gatewayPods returns the gateway's pods: where they usually are, else wherever the
// user may look.
func (s *signals) gatewayPods(ctx context.Context, kind gatewayKind) ([]corev1.Pod, error) {
	pods, err := s.client.PodsIn(ctx, kind.namespace, kind.selector)
	if running := readyPods(pods); len(running) > 0 {
		return running, nil
	}
	everywhere, err2 := s.client.PodsIn(ctx, "", kind.selector)
	if running := readyPods(everywhere); len(running) > 0 {
		return running, nil
	}
	switch {
	case err != nil:
		return nil, err
	case err2 != nil:
		return nil, err2
	}
	return nil, signalError(SignalIngress, "no pod of %s gateway is there (%s)", kind.name, kind.selector)
}

func readyPods(pods []corev1.Pod) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool {
		return p.DeletionTimestamp != nil || !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
	})
}

// gatewayReader reads the metrics of all pods of a gateway.
type gatewayReader struct {
	*signals
	kind gatewayKind
	port int
}

// findPort returns the port that a pod serves metrics on.
func (g *gatewayReader) findPort(ctx context.Context, pod corev1.Pod) (int, error) {
	ports := slices.Clone(g.kind.ports)
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == "metrics" && !slices.Contains(ports, int(p.ContainerPort)) {
				ports = append([]int{int(p.ContainerPort)}, ports...)
			}
		}
	}
	dialect, err := g.dialect(ctx)
	if err != nil {
		return 0, err
	}
	var last error
	for _, port := range ports {
		text, err := g.client.PodMetrics(ctx, pod.Namespace, pod.Name, port, g.kind.path)
		if err == nil && dialect.Knows(text) {
			return port, nil
		}
		last = err
	}
	if last == nil {
		last = signalError(SignalIngress, "what it serves there are not %s metrics", g.kind.name)
	}
	return 0, last
}

// dialect returns how the gateway names revisions now.
func (g *gatewayReader) dialect(ctx context.Context) (rollout.Dialect, error) {
	if g.kind.dialect != nil {
		return g.kind.dialect(), nil
	}
	routes, err := g.client.IngressRoutes(ctx, g.request.Service)
	if err != nil {
		return rollout.Dialect{}, err
	}
	revisions := traefikRevisions(g.client.Namespace(), g.request.Service, routes)
	return rollout.TraefikDialect(func(service string) string { return revisions[service] }), nil
}

// traefikRevisions returns the revisions by the names of Traefik's services: one for
// each line of a split (pkg/provider/kubernetes/knative of Traefik).
func traefikRevisions(namespace, service string, routes *cluster.IngressRoutes) map[string]string {
	out := make(map[string]string)
	for ri, paths := range routes.Splits {
		for pi, splits := range paths {
			for si, revision := range splits {
				out[fmt.Sprintf("%s-%s-rule-%d-path-%d-split-%d@knative", namespace, service, ri, pi, si)] = revision
			}
		}
	}
	return out
}

func (g *gatewayReader) read(ctx context.Context) ([]rollout.Point, error) {
	dialect, err := g.dialect(ctx)
	if err != nil {
		return nil, err
	}
	pods, err := g.gatewayPods(ctx, g.kind)
	if err != nil {
		return nil, err
	}
	var out []rollout.Point
	for _, pod := range pods {
		text, err := g.client.PodMetrics(ctx, pod.Namespace, pod.Name, g.port, g.kind.path)
		if err != nil {
			return nil, err // what one of several counts is no measure of all
		}
		out = append(out, dialect.Points(rollout.ParseText(text, dialect.Wants), pod.Name, g.client.Namespace(), "")...)
	}
	return out, nil
}

// queuePort is where queue-proxy serves the metrics of requests, if it is told to:
// request-metrics-protocol of config-observability.
const queuePort = 9091

// queueProxies reads the metrics of Knative's proxy in each pod of both revisions.
func (s *signals) queueProxies(ctx context.Context, state *rollout.State) (rollout.Source, string, error) {
	if s.client.Context() == cluster.LocalContext {
		return nil, "", signalError(SignalQueue, "the embedded platform has no queue-proxy")
	}
	source := &scraper{name: "queue-proxy's metrics", read: func(ctx context.Context) ([]rollout.Point, error) {
		points, _, err := s.readQueues(ctx, state)
		return points, err
	}}
	_, pods, err := s.readQueues(ctx, state)
	if err != nil {
		return nil, "", err
	}
	if pods == 0 {
		return nil, "", signalError(SignalQueue, "no pod of %s or %s runs, so whether they count requests is not known", state.Candidate, state.Stable).
			WithHint("send a request first, or choose another {Signal}")
	}
	return source, "", nil
}

// readQueues returns what the pods of both revisions have counted, and how many they are.
func (s *signals) readQueues(ctx context.Context, state *rollout.State) ([]rollout.Point, int, error) {
	pods, err := s.client.ListPods(ctx, "serving.knative.dev/revision in ("+state.Candidate+","+state.Stable+")")
	if err != nil {
		return nil, 0, err
	}
	var out []rollout.Point
	running := readyPods(pods)
	for _, pod := range running {
		text, err := s.client.PodMetrics(ctx, pod.Namespace, pod.Name, queuePort, "/metrics")
		if err != nil {
			return nil, 0, fault.New(fault.KindOf(err), "rollout.signal", "pod/"+pod.Name, "its queue-proxy serves no metrics of requests: %w", err).
				WithHint("they are on with request-metrics-protocol: prometheus in the ConfigMap config-observability of knative-serving")
		}
		out = append(out, queuePoints(text, pod)...)
	}
	return out, len(running), nil
}

// queuePoints reads both of queue-proxy's dialects.
func queuePoints(text []byte, pod corev1.Pod) []rollout.Point {
	for _, dialect := range []rollout.Dialect{rollout.QueueDialect(), rollout.KnativeDialect()} {
		if points := dialect.Points(rollout.ParseText(text, dialect.Wants), pod.Name, pod.Namespace, pod.Labels["serving.knative.dev/revision"]); len(points) > 0 {
			return points
		}
	}
	return nil
}
