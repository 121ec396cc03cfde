package cluster

import (
	"context"
	"encoding/json"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// manager owns the fields that kn-lite writes, in managedFields.
const manager = "kn-lite"

// GetService reads one Knative service. It is a NotFound error if it is absent.
func (c *Client) GetService(ctx context.Context, name string) (*servingv1.Service, error) {
	svc, err := c.serving.Services(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "get", resource: services, name: name}, err)
	}
	return svc, nil
}

// ListServices reads the services of the namespace, or of all namespaces.
func (c *Client) ListServices(ctx context.Context, allNamespaces bool) ([]servingv1.Service, error) {
	namespace := c.namespace
	if allNamespaces {
		namespace = metav1.NamespaceAll
	}
	list, err := c.serving.Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: services, everywhere: allNamespaces}, err)
	}
	return list.Items, nil
}

// CreateService creates svc in the client's namespace. With dryRun the API
// server defaults, validates and admits it, and stores nothing. It is a
// Conflict error if the service exists.
func (c *Client) CreateService(ctx context.Context, svc *servingv1.Service, dryRun bool) (*servingv1.Service, error) {
	o := metav1.CreateOptions{FieldManager: manager}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	made, err := c.serving.Services(c.namespace).Create(ctx, svc, o)
	if err != nil {
		return nil, c.explain(call{verb: "create", resource: services, name: svc.Name}, err)
	}
	return made, nil
}

// UpdateService writes svc as it is. Its resourceVersion is the precondition:
// a Conflict error means that somebody else has written in between.
func (c *Client) UpdateService(ctx context.Context, svc *servingv1.Service, dryRun bool) (*servingv1.Service, error) {
	o := metav1.UpdateOptions{FieldManager: manager}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	svc = svc.DeepCopy()
	disown(svc) // of what earlier writes changed; this one's fields are added by the server
	made, err := c.serving.Services(c.namespace).Update(ctx, svc, o)
	if err != nil {
		return nil, c.explain(call{verb: "update", resource: services, name: svc.Name}, err)
	}
	return made, nil
}

// DeleteService deletes the service and what it owns. With foreground the
// service stays visible until everything it owns is gone, so that a watch for
// its disappearance means just that.
func (c *Client) DeleteService(ctx context.Context, name string, foreground bool) error {
	policy := metav1.DeletePropagationBackground
	if foreground {
		policy = metav1.DeletePropagationForeground
	}
	err := c.serving.Services(c.namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy})
	if err != nil {
		return c.explain(call{verb: "delete", resource: services, name: name}, err)
	}
	return nil
}

// GetRevision reads one revision.
func (c *Client) GetRevision(ctx context.Context, name string) (*servingv1.Revision, error) {
	rev, err := c.serving.Revisions(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "get", resource: revisions, name: name}, err)
	}
	return rev, nil
}

// ListRevisions reads the revisions of one service, or with service "" those
// of the whole namespace, in no particular order.
func (c *Client) ListRevisions(ctx context.Context, service string) ([]servingv1.Revision, error) {
	o := metav1.ListOptions{}
	if service != "" {
		o.LabelSelector = serving.ServiceLabelKey + "=" + service
	}
	list, err := c.serving.Revisions(c.namespace).List(ctx, o)
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: revisions}, err)
	}
	return list.Items, nil
}

// ListAllRevisions reads the revisions of all namespaces, in no particular order.
func (c *Client) ListAllRevisions(ctx context.Context) ([]servingv1.Revision, error) {
	list, err := c.serving.Revisions(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: revisions, everywhere: true}, err)
	}
	return list.Items, nil
}

// DeleteRevision deletes one revision.
func (c *Client) DeleteRevision(ctx context.Context, name string) error {
	err := c.serving.Revisions(c.namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil {
		return c.explain(call{verb: "delete", resource: revisions, name: name}, err)
	}
	return nil
}

// LabelRevision sets one label of a revision.
func (c *Client) LabelRevision(ctx context.Context, name, key, value string) error {
	// Maps of strings marshal.
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{key: value}}})
	_, err := c.serving.Revisions(c.namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		return c.explain(call{verb: "patch", resource: revisions, name: name}, err)
	}
	return nil
}

// DisownService removes kn-lite's entries from managedFields: server-side apply
// by another tool refuses to change what somebody else owns.
func (c *Client) DisownService(ctx context.Context, name string) error {
	for range disownAttempts {
		svc, err := c.FindService(ctx, name)
		if err != nil || svc == nil || !disown(svc) {
			return err
		}
		_, err = c.serving.Services(c.namespace).Update(ctx, svc, metav1.UpdateOptions{FieldManager: manager})
		if !apierrors.IsConflict(err) {
			return c.explain(call{verb: "update", resource: services, name: name}, err)
		}
	}
	return nil
}

// disownAttempts is how often somebody else may write in between. Whoever
// still meets our name there can force the conflict.
const disownAttempts = 5

// disown drops kn-lite's entries from an object that is about to be written,
// and reports whether there were any. The last entry of all stays: without one
// the API server takes all fields for somebody else's.
func disown(object metav1.Object) bool {
	entries := object.GetManagedFields()
	others := slices.DeleteFunc(slices.Clone(entries), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == manager && e.Operation == metav1.ManagedFieldsOperationUpdate && e.Subresource == ""
	})
	if len(others) == len(entries) || len(others) == 0 {
		return false
	}
	object.SetManagedFields(others)
	return true
}

// GetConfiguration reads the configuration of a service; it has its name.
func (c *Client) GetConfiguration(ctx context.Context, name string) (*servingv1.Configuration, error) {
	config, err := c.serving.Configurations(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "get", resource: configurations, name: name}, err)
	}
	return config, nil
}

// GetRoute reads the route of a service; it has its name.
func (c *Client) GetRoute(ctx context.Context, name string) (*servingv1.Route, error) {
	route, err := c.serving.Routes(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "get", resource: routes, name: name}, err)
	}
	return route, nil
}

// FindService is GetService with nil instead of an error for a service that
// does not exist.
func (c *Client) FindService(ctx context.Context, name string) (*servingv1.Service, error) {
	svc, err := c.serving.Services(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.absent(call{verb: "get", resource: services, name: name}, err)
	}
	return svc, nil
}

// FindConfiguration is GetConfiguration with nil instead of an error for a
// configuration that does not exist.
func (c *Client) FindConfiguration(ctx context.Context, name string) (*servingv1.Configuration, error) {
	config, err := c.serving.Configurations(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.absent(call{verb: "get", resource: configurations, name: name}, err)
	}
	return config, nil
}

// FindRevision is GetRevision with nil instead of an error for a revision that
// does not exist.
func (c *Client) FindRevision(ctx context.Context, name string) (*servingv1.Revision, error) {
	rev, err := c.serving.Revisions(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.absent(call{verb: "get", resource: revisions, name: name}, err)
	}
	return rev, nil
}

// absent turns "there is no such object" into nil and explains the rest.
func (c *Client) absent(k call, err error) error {
	if apierrors.IsNotFound(err) && !missingAPI(err) {
		return nil
	}
	return c.explain(k, err)
}
