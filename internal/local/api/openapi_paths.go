package api

import (
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// addPaths adds what can be done with a kind: kubectl looks here for what a
// server can do, such as dryRun and fieldValidation.
func addPaths(paths map[string]any, kind *store.Kind, schemaName string) {
	base := "/" + groupPath(kind.GroupVersion())
	if kind.Namespaced {
		paths[base+"/"+kind.Resource] = pathItem(kind, schemaName, map[string]string{"get": "list"})
		base += "/namespaces/{namespace}"
	}
	all := verbs(kind, "")
	collection := map[string]string{"get": "list", "delete": "deletecollection"}
	if slices.Contains(all, "create") {
		collection["post"] = "post"
	}
	paths[base+"/"+kind.Resource] = pathItem(kind, schemaName, collection)
	one := map[string]string{"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
	paths[base+"/"+kind.Resource+"/{name}"] = pathItem(kind, schemaName, one)
	for _, sub := range subresources(kind) {
		if sub == "status" {
			paths[base+"/"+kind.Resource+"/{name}/status"] = pathItem(kind, schemaName, map[string]string{"get": "get", "put": "put", "patch": "patch"})
		}
	}
}

func pathItem(kind *store.Kind, schemaName string, operations map[string]string) map[string]any {
	item := map[string]any{}
	for method, action := range operations {
		operation := map[string]any{
			"x-kubernetes-action":             action,
			"x-kubernetes-group-version-kind": gvk(kind.GroupVersionKind),
			"operationId":                     action + kind.Kind,
			"tags":                            []string{strings.ReplaceAll(groupPath(kind.GroupVersion()), "/", "_")},
			"responses":                       map[string]any{"200": map[string]any{"description": "OK", "content": content(schemaName, "application/json")}},
		}
		if parameters := queryParameters(action); len(parameters) > 0 {
			operation["parameters"] = parameters
		}
		switch method {
		case "post", "put":
			operation["requestBody"] = map[string]any{"required": true, "content": content(schemaName, "application/json")}
		case "patch":
			operation["requestBody"] = map[string]any{"required": true, "content": content(schemaName, strings.Split(acceptedPatches(kind), ", ")...)}
		}
		item[method] = operation
	}
	return item
}

func content(schemaName string, media ...string) map[string]any {
	out := map[string]any{}
	for _, m := range media {
		out[m] = map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/" + schemaName}}
	}
	return out
}

func queryParameters(action string) []any {
	var names []string
	switch action {
	case "post", "put":
		names = []string{"dryRun", "fieldManager", "fieldValidation"}
	case "patch":
		names = []string{"dryRun", "fieldManager", "fieldValidation", "force"}
	case "delete", "deletecollection":
		names = []string{"dryRun", "gracePeriodSeconds", "propagationPolicy"}
	case "list":
		names = []string{"allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"}
	}
	var out []any
	for _, name := range names {
		out = append(out, map[string]any{"name": name, "in": "query", "schema": map[string]any{"type": "string"}})
	}
	return out
}

func notAcceptable() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: application/json",
	}}
}
