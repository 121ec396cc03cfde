package cluster

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ListPods reads the pods that match a label selector, e.g.
// serving.knative.dev/revision=hello-v2.
func (c *Client) ListPods(ctx context.Context, selector string) ([]corev1.Pod, error) {
	list, err := c.core.Pods(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: pods}, err)
	}
	return list.Items, nil
}

// PodLogs opens a container's log. The caller closes it; with Follow it ends
// when the container does or ctx is cancelled.
func (c *Client) PodLogs(ctx context.Context, pod string, o corev1.PodLogOptions) (io.ReadCloser, error) {
	stream, err := c.core.Pods(c.namespace).GetLogs(pod, &o).Stream(ctx)
	if err != nil {
		return nil, c.explain(call{verb: "get", resource: podLogs, name: pod}, err)
	}
	return stream, nil
}

// ListEvents reads the events about one object. kind is e.g. Pod, Revision,
// ReplicaSet; with name "" those about every object of that kind.
func (c *Client) ListEvents(ctx context.Context, kind, name string) ([]corev1.Event, error) {
	selector := "involvedObject.kind=" + kind
	if name != "" {
		selector += ",involvedObject.name=" + name
	}
	list, err := c.core.Events(c.namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: events}, err)
	}
	return list.Items, nil
}

// ListDeployments reads the deployments that match a label selector.
func (c *Client) ListDeployments(ctx context.Context, selector string) ([]appsv1.Deployment, error) {
	list, err := c.apps.Deployments(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: deployments}, err)
	}
	return list.Items, nil
}

// ListNodes reads the nodes of the cluster; many users may not.
func (c *Client) ListNodes(ctx context.Context) ([]corev1.Node, error) {
	list, err := c.core.Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: nodes, everywhere: true}, err)
	}
	return list.Items, nil
}

// Platform is what a node runs.
type Platform struct{ OS, Architecture string }

// NodePlatforms is what the nodes run, each once, the most frequent first.
func (c *Client) NodePlatforms(ctx context.Context) ([]Platform, error) {
	list, err := c.ListNodes(ctx)
	if err != nil {
		return nil, err
	}
	count := make(map[Platform]int)
	for i := range list {
		info := list[i].Status.NodeInfo
		count[Platform{info.OperatingSystem, info.Architecture}]++
	}
	return slices.SortedFunc(maps.Keys(count), func(a, b Platform) int {
		return cmp.Or(count[b]-count[a], strings.Compare(a.Architecture, b.Architecture))
	}), nil
}

// CheckNamespace is a NotFound error if the client's namespace does not exist.
// Not being allowed to look is none: the write that follows will tell.
func (c *Client) CheckNamespace(ctx context.Context) error {
	_, err := c.core.Namespaces().Get(ctx, c.namespace, metav1.GetOptions{})
	switch {
	case err == nil, apierrors.IsForbidden(err):
		return nil
	case apierrors.IsNotFound(err):
		return c.noNamespace("cluster.get", c.namespace)
	}
	return c.explain(call{verb: "get", resource: namespaces, name: c.namespace, everywhere: true}, err)
}

// TailLog is the last lines of a container's log; with previous those of the
// container before its last restart. Lines are cut at 500 bytes.
func (c *Client) TailLog(ctx context.Context, pod, container string, lines int64, previous bool) ([]string, error) {
	const longest, most = 500, 64 << 10
	limit := int64(most)
	stream, err := c.PodLogs(ctx, pod, corev1.PodLogOptions{Container: container, TailLines: &lines, Previous: previous, LimitBytes: &limit})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	raw, err := io.ReadAll(io.LimitReader(stream, most))
	if err != nil {
		return nil, c.explain(call{verb: "get", resource: podLogs, name: pod}, err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		// The kubelet's own excuse is not what the container said.
		if line = strings.TrimRight(line, "\r\n"); line != "" && !strings.HasPrefix(line, "unable to retrieve container logs for ") {
			out = append(out, line[:min(len(line), longest)])
		}
	}
	return out, nil
}
