package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// fieldManager names us as the owner of what we apply.
const fieldManager = "kn-lite-devcluster"

// resource is where objects of one kind live.
type resource struct {
	plural     string
	namespaced bool
}

// Kinds maps a kind to its place in the API, as the server last told.
type Kinds map[schema.GroupVersionKind]resource

// discovery is the part that matters of apidiscovery.k8s.io/v2 APIGroupDiscoveryList.
type discovery struct {
	Items []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Versions []struct {
			Version   string `json:"version"`
			Resources []struct {
				Resource     string `json:"resource"`
				Scope        string `json:"scope"`
				ResponseKind struct {
					Kind string `json:"kind"`
				} `json:"responseKind"`
			} `json:"resources"`
		} `json:"versions"`
	} `json:"items"`
}

// Discover asks the server which kinds it knows, in two requests.
func (c *Client) Discover(ctx context.Context) (Kinds, error) {
	kinds := Kinds{}
	for _, path := range []string{"/api", "/apis"} {
		var d discovery
		err := c.do(ctx, http.MethodGet, path, "", nil, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", &d)
		if err != nil {
			return nil, fmt.Errorf("discover kinds: %w", err)
		}
		kinds.add(d)
	}
	return kinds, nil
}

func (k Kinds) add(d discovery) {
	for _, g := range d.Items {
		for _, v := range g.Versions {
			for _, r := range v.Resources {
				gvk := schema.GroupVersionKind{Group: g.Metadata.Name, Version: v.Version, Kind: r.ResponseKind.Kind}
				k[gvk] = resource{plural: r.Resource, namespaced: r.Scope == "Namespaced"}
			}
		}
	}
}

// Path returns where an object lives, "/apis/apps/v1/namespaces/x/deployments/y".
func (k Kinds) Path(o *unstructured.Unstructured) (string, error) {
	gvk := o.GroupVersionKind()
	r, ok := k[gvk]
	if !ok {
		return "", fmt.Errorf("%s %s: the server knows no such kind", gvk, o.GetName())
	}
	path := "/apis/" + gvk.Group + "/" + gvk.Version
	if gvk.Group == "" {
		path = "/api/" + gvk.Version
	}
	if r.namespaced {
		ns := o.GetNamespace()
		if ns == "" {
			ns = "default"
		}
		path += "/namespaces/" + url.PathEscape(ns)
	}
	return path + "/" + r.plural + "/" + url.PathEscape(o.GetName()), nil
}

// retryPause lies between two tries of an object that the server refused for now.
const retryPause = 200 * time.Millisecond

// Apply applies the objects by server-side apply, several at a time. An object that
// is refused for a reason that may pass (a webhook or a namespace that is not there
// yet, an overloaded server) is tried again until ctx ends.
func (c *Client) Apply(ctx context.Context, kinds Kinds, objects []unstructured.Unstructured) error {
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		errs []error
		turn = make(chan struct{}, 8)
	)
	for i := range objects {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			if err := c.applyOne(ctx, kinds, &objects[i]); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (c *Client) applyOne(ctx context.Context, kinds Kinds, o *unstructured.Unstructured) error {
	path, err := kinds.Path(o)
	if err != nil {
		return err
	}
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	query := "?force=true&fieldManager=" + fieldManager
	for {
		err := c.do(ctx, http.MethodPatch, path+query, "application/apply-patch+yaml", body, "", nil)
		if err == nil {
			return nil
		}
		err = fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		if !passes(Code(err)) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryPause):
		}
	}
}

// passes tells refusals that may pass by themselves: 404 is a namespace that is
// still being made, 5xx a webhook without endpoints. 0 is a broken connection.
func passes(code int) bool {
	return code == 0 || code == http.StatusNotFound || code == http.StatusConflict ||
		code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}

// Stages splits objects into the order in which a fresh server takes them: first
// namespaces and definitions, then what programs read when they start, then the
// programs, and last the webhooks that programs answer.
func Stages(objects []unstructured.Unstructured) [][]unstructured.Unstructured {
	stages := make([][]unstructured.Unstructured, 4)
	for _, o := range objects {
		n := 1
		switch o.GetKind() {
		case "Namespace", "CustomResourceDefinition":
			n = 0
		case "Deployment", "DaemonSet", "StatefulSet", "Job":
			n = 2
		case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
			n = 3
		}
		stages[n] = append(stages[n], o)
	}
	return stages
}

// Established returns the names of custom resource definitions among objects that
// the server does not serve yet.
func (c *Client) Established(ctx context.Context, objects []unstructured.Unstructured) (waiting []string, err error) {
	var list unstructured.UnstructuredList
	if err := c.Get(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &list); err != nil {
		return nil, err
	}
	served := map[string]bool{}
	for _, crd := range list.Items {
		served[crd.GetName()] = Condition(&crd, "Established") == "True"
	}
	for _, o := range objects {
		if o.GetKind() == "CustomResourceDefinition" && !served[o.GetName()] {
			waiting = append(waiting, o.GetName())
		}
	}
	return waiting, nil
}

// Condition returns the status of an object's condition: "True", "False",
// "Unknown", or "" when it has none of that type.
func Condition(o *unstructured.Unstructured, kind string) string {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == kind {
			status, _ := m["status"].(string)
			return status
		}
	}
	return ""
}
