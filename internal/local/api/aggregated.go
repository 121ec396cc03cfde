package api

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The parts of apidiscovery.k8s.io that say what there is. Their module would
// bring a client's whole package for three structs.
type (
	groupDiscoveryList struct {
		metav1.TypeMeta `json:",inline"`
		metav1.ListMeta `json:"metadata"`
		Items           []groupDiscovery `json:"items"`
	}
	groupDiscovery struct {
		Metadata struct {
			Name string `json:"name,omitempty"`
		} `json:"metadata"`
		Versions []versionDiscovery `json:"versions"`
	}
	versionDiscovery struct {
		Version   string              `json:"version"`
		Resources []resourceDiscovery `json:"resources"`
		Freshness string              `json:"freshness"`
	}
	resourceDiscovery struct {
		Resource         string                  `json:"resource"`
		ResponseKind     metav1.GroupVersionKind `json:"responseKind"`
		Scope            string                  `json:"scope"`
		SingularResource string                  `json:"singularResource"`
		Verbs            []string                `json:"verbs"`
		ShortNames       []string                `json:"shortNames,omitempty"`
		Categories       []string                `json:"categories,omitempty"`
		Subresources     []subresourceDiscovery  `json:"subresources,omitempty"`
	}
	subresourceDiscovery struct {
		Subresource  string                  `json:"subresource"`
		ResponseKind metav1.GroupVersionKind `json:"responseKind"`
		Verbs        []string                `json:"verbs"`
	}
)

// aggregatedVersion is the version of the aggregated form that a client accepts, "" for none.
func aggregatedVersion(accept []string) string {
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil || media != "application/json" || params["as"] != "APIGroupDiscoveryList" {
			continue
		}
		if v := params["v"]; v == "v2" || v == "v2beta1" {
			return v
		}
	}
	return ""
}

func (s *Server) aggregated(version string, core bool) groupDiscoveryList {
	list := groupDiscoveryList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupDiscoveryList", APIVersion: "apidiscovery.k8s.io/" + version}, Items: []groupDiscovery{}}
	for _, gv := range s.groupVersions() {
		if core != (gv.Group == "") {
			continue
		}
		group := groupDiscovery{Versions: []versionDiscovery{{Version: gv.Version, Resources: s.aggregatedResources(gv), Freshness: "Current"}}}
		group.Metadata.Name = gv.Group
		list.Items = append(list.Items, group)
	}
	return list
}

func (s *Server) aggregatedResources(gv schema.GroupVersion) []resourceDiscovery {
	var out []resourceDiscovery
	for _, r := range s.resources(gv) {
		kind := metav1.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: r.Kind}
		if _, sub, ok := strings.Cut(r.Name, "/"); ok {
			parent := &out[len(out)-1]
			parent.Subresources = append(parent.Subresources, subresourceDiscovery{Subresource: sub, ResponseKind: kind, Verbs: r.Verbs})
			continue
		}
		scope := "Cluster"
		if r.Namespaced {
			scope = "Namespaced"
		}
		out = append(out, resourceDiscovery{
			Resource: r.Name, ResponseKind: kind, Scope: scope, SingularResource: r.SingularName,
			Verbs: r.Verbs, ShortNames: r.ShortNames, Categories: r.Categories,
		})
	}
	return out
}

// writeAs writes JSON under a media type that is set already.
func writeAs(w http.ResponseWriter, answer any) error {
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append(raw, '\n'))
	return nil
}
