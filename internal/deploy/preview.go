package deploy

import (
	"encoding/json"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Preview is the service that a first deploy of spec would create, made
// without asking any cluster.
func Preview(spec Spec, namespace string) (*servingv1.Service, error) {
	svc, err := Desired(nil, spec)
	if err != nil {
		return nil, err
	}
	svc.Namespace = namespace
	if spec.Revision != "" {
		svc.Spec.Template.Name = fullName(spec.Service, spec.Revision)
		svc = knative.Apply(svc, traffic.Change{Split: firstSplit(nil, svc.Spec.Template.Name, spec.Tag)})
	}
	return svc, nil
}

// Manifest is a service as it would stand in a file: without status, without
// what only the API server writes, and without kn-lite's bookkeeping.
func Manifest(svc *servingv1.Service) map[string]any {
	clean := svc.DeepCopy()
	clean.APIVersion, clean.Kind = "serving.knative.dev/v1", "Service"
	clean.ManagedFields = nil
	clean.UID, clean.ResourceVersion, clean.Generation = "", "", 0
	clean.Annotations = traffic.WithoutState(clean.Annotations)
	object := asMap(clean)
	delete(object, "status")
	dropEmpty(object)
	return object
}

// asMap is an API object as JSON decodes it.
func asMap(object any) map[string]any {
	// API objects marshal, and what was marshalled unmarshals.
	raw, _ := json.Marshal(object)
	var out map[string]any
	_ = json.Unmarshal(raw, &out)
	return out
}

// dropEmpty removes nulls, empty objects and empty names, which Go's zero
// values of nested structs turn into (creationTimestamp: null, resources: {}).
func dropEmpty(object map[string]any) {
	for key, value := range object {
		switch v := value.(type) {
		case nil:
			delete(object, key)
		case string:
			if key == "name" && v == "" {
				delete(object, key)
			}
		case map[string]any:
			dropEmpty(v)
			if len(v) == 0 && key != "emptyDir" { // which says something by being there
				delete(object, key)
			}
		case []any:
			for _, item := range v {
				if m, ok := item.(map[string]any); ok {
					dropEmpty(m)
				}
			}
		}
	}
}
