package api

import (
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// groupVersions are those that have objects, core first.
func (s *Server) groupVersions() []schema.GroupVersion {
	var out []schema.GroupVersion
	for _, kind := range s.store.Kinds() {
		if gv := kind.GroupVersion(); !slices.Contains(out, gv) {
			out = append(out, gv)
		}
	}
	out = append(out, reviewGroups()...)
	slices.SortFunc(out, func(a, b schema.GroupVersion) int { return strings.Compare(a.Group, b.Group) })
	return out
}

func reviewGroups() []schema.GroupVersion {
	return []schema.GroupVersion{{Group: "authentication.k8s.io", Version: "v1"}, {Group: "authorization.k8s.io", Version: "v1"}}
}

// discoverGroups answers on /api and /apis: with the groups alone, or, for a
// client that accepts it, with everything at once.
func (s *Server) discoverGroups(w http.ResponseWriter, r *http.Request, path string) error {
	if version := aggregatedVersion(r.Header.Values("Accept")); version != "" {
		w.Header().Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v="+version+";as=APIGroupDiscoveryList")
		return writeAs(w, s.aggregated(version, path == "/api"))
	}
	if path == "/api" {
		return writeJSON(w, whole, http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
	}
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	for _, gv := range s.groupVersions() {
		if gv.Group != "" {
			list.Groups = append(list.Groups, apiGroup(gv))
		}
	}
	return writeJSON(w, whole, http.StatusOK, list)
}

func apiGroup(gv schema.GroupVersion) metav1.APIGroup {
	version := metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
	return metav1.APIGroup{Name: gv.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version}
}

// discovery is what a path of a group or of a version shows; nil for other paths.
func (s *Server) discovery(path string) any {
	for _, gv := range s.groupVersions() {
		switch {
		case gv.Group == "" && path == "/api/"+gv.Version, gv.Group != "" && path == "/apis/"+gv.String():
			return metav1.APIResourceList{
				TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String(), APIResources: s.resources(gv),
			}
		case gv.Group != "" && path == "/apis/"+gv.Group:
			group := apiGroup(gv)
			group.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
			return group
		}
	}
	return nil
}

func (s *Server) resources(gv schema.GroupVersion) []metav1.APIResource {
	out := reviewResources(gv)
	for _, kind := range s.store.Kinds() {
		if kind.GroupVersion() != gv {
			continue
		}
		out = append(out, metav1.APIResource{
			Name: kind.Resource, SingularName: strings.ToLower(kind.Kind), Namespaced: kind.Namespaced, Kind: kind.Kind,
			Verbs: slices.Sorted(slices.Values(verbs(kind, ""))), ShortNames: kind.Short, Categories: categories(kind),
		})
		for _, sub := range subresources(kind) {
			resource := metav1.APIResource{Name: kind.Resource + "/" + sub, Namespaced: kind.Namespaced, Kind: kind.Kind, Verbs: verbs(kind, sub)}
			if sub == "token" {
				resource.Group, resource.Version, resource.Kind = "authentication.k8s.io", "v1", "TokenRequest"
			}
			out = append(out, resource)
		}
	}
	return out
}

func reviewResources(gv schema.GroupVersion) []metav1.APIResource {
	var kinds []string
	switch gv.Group {
	case "authentication.k8s.io":
		kinds = []string{"SelfSubjectReview"}
	case "authorization.k8s.io":
		kinds = []string{"SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"}
	}
	out := []metav1.APIResource{}
	for _, kind := range kinds {
		out = append(out, metav1.APIResource{Name: strings.ToLower(kind) + "s", SingularName: strings.ToLower(kind), Kind: kind, Verbs: []string{"create"}})
	}
	return out
}

// categories are the names by which kubectl gets several kinds at once.
func categories(kind *store.Kind) []string {
	switch {
	case kind.Group == servingGroup:
		return []string{"all", "knative", "serving"}
	case kind.Kind == "PodAutoscaler":
		return []string{"knative-internal", "autoscaling"}
	case kind.Kind == "Pod", kind.Kind == "Deployment", kind.Kind == "Service":
		return []string{"all"}
	}
	return nil
}
