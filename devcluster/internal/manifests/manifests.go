// Package manifests turns the YAML that Knative Serving publishes into the
// objects of one devcluster. It is a pure function of its inputs: no cluster,
// no registry and no clock is asked.
package manifests

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Names that the objects and Traefik's flags have to agree on.
const (
	ServingNamespace      = "knative-serving"
	IngressNamespace      = "traefik"
	IngressPublicService  = "traefik"
	IngressPrivateService = "traefik-internal"

	ingressClass  = "traefik.ingress.networking.knative.dev"
	defaultDomain = "127.0.0.1.sslip.io"
	version       = "0.50.0" // of Knative Serving; the source says "devel"
)

// Input is all that the objects of one devcluster depend on.
type Input struct {
	// Dir holds the upstream YAML in the folders serving, networking and caching:
	// parts.Set.Manifests.
	Dir string
	// Images maps an image's name ("serving/controller") to its pushed digest
	// reference, as parts.Push returns it.
	Images map[string]string
	// Registry is the "host:port" of the local registry. Its tags are not resolved
	// to digests: the controller's pod has a loopback of its own.
	Registry string
	// Domain is the suffix of service URLs, 127.0.0.1.sslip.io when empty.
	Domain string
	// Ingress is the address that Traefik listens on, as pods see it.
	Ingress netip.Addr
	// PublicPort and PrivatePort are Traefik's entry points at that address,
	// 80 and 8081 when zero. Inside the cluster both are port 80 of a Service.
	PublicPort, PrivatePort int
	// Settings overrides or adds keys of the ConfigMaps in knative-serving:
	// Settings["config-autoscaler"]["stable-window"] = "6s". "" removes a key.
	Settings map[string]map[string]string
}

// Knative returns the objects in the order in which they are to be applied:
// namespaces, CRDs (wait until they are Established), access rules, settings,
// workloads, and last the webhooks, which refuse all objects they watch until
// their pod runs. It reports YAML that cannot be read and images nobody pushed.
func Knative(in Input) ([]unstructured.Unstructured, error) {
	in.Domain = cmp.Or(in.Domain, defaultDomain)
	in.PublicPort, in.PrivatePort = cmp.Or(in.PublicPort, 80), cmp.Or(in.PrivatePort, 8081)
	if !in.Ingress.IsValid() {
		return nil, errors.New("manifests: no ingress address")
	}
	var objects []unstructured.Unstructured
	for _, folder := range []string{"networking", "caching", "serving"} {
		read, err := readFolder(os.DirFS(in.Dir), folder)
		if err != nil {
			return nil, fmt.Errorf("manifests: %s: %w", filepath.Join(in.Dir, folder), err)
		}
		objects = append(objects, read...)
	}
	objects = slices.DeleteFunc(objects, unwanted)
	for i := range objects {
		if err := edit(&objects[i], in); err != nil {
			return nil, fmt.Errorf("manifests: %s: %w", describe(objects[i]), err)
		}
	}
	if err := allSettingsUsed(objects, in.Settings); err != nil {
		return nil, err
	}
	objects = append(objects, ingress(in)...)
	slices.SortStableFunc(objects, func(a, b unstructured.Unstructured) int {
		return cmp.Compare(rank(a.GetKind()), rank(b.GetKind()))
	})
	return objects, nil
}

// rank orders kinds for applying; objects of one rank keep their file order.
func rank(kind string) int {
	switch kind {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	case "ServiceAccount", "ClusterRole", "Role":
		return 2
	case "ClusterRoleBinding", "RoleBinding":
		return 3
	case "ConfigMap", "Secret":
		return 4
	case "Service", "EndpointSlice":
		return 5
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		return 7
	}
	return 6
}

// unwanted tells what a devcluster has no use for: autoscalers that would need
// the metrics API, and budgets that forbid to evict the only replica.
func unwanted(o unstructured.Unstructured) bool {
	return o.GetKind() == "HorizontalPodAutoscaler" || o.GetKind() == "PodDisruptionBudget"
}

// readFolder decodes every YAML document below folder, in path order.
func readFolder(files fs.FS, folder string) ([]unstructured.Unstructured, error) {
	var objects []unstructured.Unstructured
	err := fs.WalkDir(files, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		read, err := decode(data)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		objects = append(objects, read...)
		return nil
	})
	if err == nil && len(objects) == 0 {
		err = errors.New("no objects")
	}
	return objects, err
}

func decode(data []byte) ([]unstructured.Unstructured, error) {
	var objects []unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		var o unstructured.Unstructured
		switch err := decoder.Decode(&o.Object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		case len(o.Object) == 0: // comments between two separators
		case o.GetKind() == "" || o.GetName() == "":
			return nil, errors.New("a document without kind or name")
		default:
			objects = append(objects, o)
		}
	}
}

func describe(o unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
}
