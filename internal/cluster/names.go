package cluster

import (
	"context"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// NamespaceNames lists the cluster's namespaces; many users may not.
func (c *Client) NamespaceNames(ctx context.Context) ([]string, error) {
	list, err := c.core.Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: namespaces, everywhere: true}, err)
	}
	out := make([]string, len(list.Items))
	for i, ns := range list.Items {
		out[i] = ns.Name
	}
	return out, nil
}

// ContextNames lists the contexts of the kubeconfig, in alphabetical order.
// It reads files only.
func ContextNames(o Options) ([]string, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: o.Kubeconfig, Precedence: files(o.Env)}
	raw, err := rules.Load()
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(raw.Contexts)), nil
}
