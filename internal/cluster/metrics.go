package cluster

import (
	"context"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// ServerMetrics reads the API server's own metrics: on the embedded platform those of
// functions.
func (c *Client) ServerMetrics(ctx context.Context) ([]byte, error) {
	got := c.rest.Get().AbsPath("/metrics").Do(ctx)
	return c.text(got, call{verb: "get", resource: resource{"/metrics", "metrics of the API server", false}, everywhere: true})
}

// PodMetrics reads what a pod serves on a port, through the API server: no way into
// the cluster's network is needed.
func (c *Client) PodMetrics(ctx context.Context, namespace, pod string, port int, path string) ([]byte, error) {
	got := c.rest.Get().AbsPath("/api/v1/namespaces", namespace, "pods", pod+":"+strconv.Itoa(port), "proxy").
		Suffix(strings.Split(strings.Trim(path, "/"), "/")...).Do(ctx)
	return c.text(got, call{verb: "get", resource: podProxy, name: pod, everywhere: namespace != c.namespace})
}

// text returns an answer that is no object.
func (c *Client) text(got rest.Result, k call) ([]byte, error) {
	// The error of Raw does not say what the API server has said.
	if err := got.Error(); err != nil {
		return nil, c.explain(k, err)
	}
	raw, err := got.Raw()
	return raw, c.explain(k, err)
}

// PodsIn reads the pods of any namespace that match a label selector.
func (c *Client) PodsIn(ctx context.Context, namespace, selector string) ([]corev1.Pod, error) {
	list, err := c.core.Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: pods, everywhere: namespace != c.namespace}, err)
	}
	return list.Items, nil
}
