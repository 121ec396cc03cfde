package manifests

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// koPrefix marks an image that is named by the command it is made of.
const koPrefix = "ko://knative.dev/serving/cmd/"

// edit makes one upstream object fit for the devcluster.
func edit(o *unstructured.Unstructured, in Input) error {
	labels := o.GetLabels()
	if labels["app.kubernetes.io/version"] == "devel" {
		labels["app.kubernetes.io/version"] = version
		o.SetLabels(labels)
	}
	resolved, err := resolveImages(o.Object, in.Images)
	if err != nil {
		return err
	}
	o.Object = resolved.(map[string]any)
	if o.GetKind() == "ConfigMap" && o.GetNamespace() == ServingNamespace {
		return configure(o, in)
	}
	return nil
}

// resolveImages replaces every ko:// string below value by the pushed image.
func resolveImages(value any, images map[string]string) (any, error) {
	switch v := value.(type) {
	case string:
		command, ok := strings.CutPrefix(v, koPrefix)
		if !ok {
			if strings.HasPrefix(v, "ko://") {
				return nil, fmt.Errorf("%s: not an image of the set", v)
			}
			return v, nil
		}
		ref, ok := images["serving/"+command]
		if !ok {
			return nil, fmt.Errorf("%s: image serving/%s was not pushed", v, command)
		}
		return ref, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, child := range v {
			resolved, err := resolveImages(child, images)
			if err != nil {
				return nil, err
			}
			out[k] = resolved
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			resolved, err := resolveImages(child, images)
			if err != nil {
				return nil, err
			}
			out[i] = resolved
		}
		return out, nil
	}
	return value, nil
}

// defaults are the settings in which a devcluster differs from Knative's own.
func defaults(in Input) map[string]map[string]string {
	skip := "kind.local,ko.local,dev.local"
	if in.Registry != "" {
		skip += "," + in.Registry
	}
	return map[string]map[string]string{
		"config-network": {"ingress-class": ingressClass},
		"config-domain":  {in.Domain: ""},
		// Rollouts are tried out by what queue-proxy counts; Knative's own default is to count nothing.
		"config-observability": {"request-metrics-protocol": "prometheus"},
		"config-deployment":    {"registries-skipping-tag-resolving": skip},
		// One person waits for it: 60 s + 30 s to zero is for production.
		"config-autoscaler": {"stable-window": "20s", "scale-to-zero-grace-period": "10s"},
	}
}

// configure sets a ConfigMap's keys. The long _example goes away, and with it
// the annotation that checksums it (the webhook compares the two).
func configure(o *unstructured.Unstructured, in Input) error {
	data, _, err := unstructured.NestedStringMap(o.Object, "data")
	if err != nil {
		return err
	}
	if data == nil {
		data = map[string]string{}
	}
	delete(data, "_example")
	annotations := o.GetAnnotations()
	delete(annotations, "knative.dev/example-checksum")
	o.SetAnnotations(annotations)
	maps.Copy(data, defaults(in)[o.GetName()])
	for k, v := range in.Settings[o.GetName()] {
		if v == "" {
			delete(data, k)
			continue
		}
		data[k] = v
	}
	return unstructured.SetNestedStringMap(o.Object, data, "data")
}

// allSettingsUsed refuses settings for a ConfigMap that does not exist: a
// misspelt name would otherwise change nothing and say nothing.
func allSettingsUsed(objects []unstructured.Unstructured, settings map[string]map[string]string) error {
	known := map[string]bool{}
	for _, o := range objects {
		if o.GetKind() == "ConfigMap" {
			known[o.GetName()] = true
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !known[name] {
			errs = append(errs, fmt.Errorf("manifests: settings for %s: no such ConfigMap, there are %s",
				name, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		}
	}
	return errors.Join(errs...)
}
