package manifests

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// ingress gives Traefik, a program on the node, two Services: one that Knative
// names as the public load balancer, and one for traffic between services.
// Without a selector their endpoints are ours to set.
func ingress(in Input) []unstructured.Unstructured {
	objects := []unstructured.Unstructured{{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Namespace",
		"metadata":   map[string]any{"name": IngressNamespace},
	}}}
	for _, s := range []struct {
		name string
		port int
	}{{IngressPublicService, in.PublicPort}, {IngressPrivateService, in.PrivatePort}} {
		objects = append(objects, service(s.name), endpoints(s.name, in.Ingress.String(), s.port, in.Ingress.Is6()))
	}
	return objects
}

func service(name string) unstructured.Unstructured {
	return unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Service",
		"metadata":   map[string]any{"name": name, "namespace": IngressNamespace},
		"spec": map[string]any{"ports": []any{
			map[string]any{"name": "http", "port": int64(80), "protocol": "TCP"},
		}},
	}}
}

func endpoints(service, address string, port int, six bool) unstructured.Unstructured {
	family := "IPv4"
	if six {
		family = "IPv6"
	}
	return unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "discovery.k8s.io/v1",
		"kind":       "EndpointSlice",
		"metadata": map[string]any{
			"name": service + "-node", "namespace": IngressNamespace,
			"labels": map[string]any{
				"kubernetes.io/service-name":             service,
				"endpointslice.kubernetes.io/managed-by": "devcluster",
			},
		},
		"addressType": family,
		"ports":       []any{map[string]any{"name": "http", "port": int64(port), "protocol": "TCP"}},
		"endpoints": []any{map[string]any{
			"addresses":  []any{address},
			"conditions": map[string]any{"ready": true},
		}},
	}}
}
