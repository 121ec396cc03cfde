package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// request is a request for objects of one kind.
type request struct {
	*http.Request
	kind      *store.Kind
	namespace string // "" for all, or for a kind outside of namespaces
	name      string // "" for all
	sub       string // subresource
	query     url.Values
	view      view
}

// parse reads the path: /api/v1/... or /apis/GROUP/VERSION/..., then
// [namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE]].
func (s *Server) parse(r *http.Request) (*request, error) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var group, version string
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		group, version, parts = parts[1], parts[2], parts[3:]
	default:
		return nil, errNoPath()
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	req := &request{Request: r, query: query, view: accepted(r.Header.Values("Accept"))}
	// What follows namespaces/NAME is a resource in it, or a subresource of it.
	if parts[0] == "namespaces" && len(parts) >= 3 && !slices.Contains([]string{"status", "finalize"}, parts[2]) {
		req.namespace, parts = parts[1], parts[2:]
	}
	if len(parts) > 3 {
		return nil, errNoPath()
	}
	parts = append(parts, "", "")
	req.kind, req.name, req.sub = s.store.Kind(group, version, parts[0]), parts[1], parts[2]
	if req.kind == nil || !req.kind.Namespaced && req.namespace != "" {
		return nil, errNoPath()
	}
	if req.kind.Namespaced && req.namespace == "" && req.name != "" {
		return nil, errNoPath()
	}
	return req, nil
}

// dispatch calls the verb.
func (s *Server) dispatch(w *response, r *request) error {
	if r.kind.Kind == "Pod" && slices.Contains([]string{"attach", "exec", "portforward"}, r.sub) {
		return s.cannotStream(r)
	}
	if r.sub != "" && !slices.Contains(subresources(r.kind), r.sub) {
		return errNoPath()
	}
	verb := r.verb()
	if !slices.Contains(verbs(r.kind, r.sub), verb) {
		return apierrors.NewMethodNotSupported(r.kind.GroupResource(), strings.ToLower(r.Method))
	}
	switch verb {
	case "get":
		return s.get(w, r)
	case "list":
		return s.list(w, r)
	case "watch":
		return s.watch(w, r)
	case "create":
		return s.create(w, r)
	case "update":
		return s.update(w, r)
	case "patch":
		return s.patch(w, r)
	case "delete":
		return s.delete(w, r)
	}
	return s.deleteCollection(w, r)
}

func (r *request) verb() string {
	switch {
	case r.Method == http.MethodGet && r.name == "" && isTrue(r.query.Get("watch")):
		return "watch"
	case r.Method == http.MethodGet && r.name == "":
		return "list"
	case r.Method == http.MethodGet:
		return "get"
	case r.Method == http.MethodPost && (r.name == "" || r.sub != ""):
		return "create"
	case r.Method == http.MethodPut && r.name != "":
		return "update"
	case r.Method == http.MethodPatch && r.name != "":
		return "patch"
	case r.Method == http.MethodDelete && r.name == "":
		return "deletecollection"
	case r.Method == http.MethodDelete:
		return "delete"
	}
	return ""
}

func isTrue(value string) bool { return value == "true" || value == "1" }

// verbs are what may be done with a kind or a subresource, in the order of
// discovery. What the platform makes by itself cannot be created by clients.
func verbs(k *store.Kind, sub string) []string {
	switch {
	case sub == "log":
		return []string{"get"}
	case sub == "token":
		return []string{"create"}
	case sub == "finalize":
		return []string{"update"}
	case sub != "":
		return []string{"get", "patch", "update"}
	}
	all := []string{"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"}
	if !isCreatable(k) {
		all = slices.Delete(all, 5, 6)
	}
	return all
}

func isCreatable(k *store.Kind) bool {
	return k.Kept || k.Kind == "Event"
}

func subresources(k *store.Kind) []string {
	switch k.Kind {
	case "Secret", "ConfigMap", "Event":
		return nil
	case "ServiceAccount":
		return []string{"token"}
	case "Pod":
		return []string{"log", "status"}
	case "Namespace":
		return []string{"finalize", "status"}
	}
	return []string{"status"}
}
