package node

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
)

// TestLocalRegistryIsNamedAsToolsReadIt follows the proposal: the value is YAML
// of its own, with the names of the registry as seen from three places.
func TestLocalRegistryIsNamedAsToolsReadIt(t *testing.T) {
	i := instance.Instance{Ports: instance.Ports{Registry: 5001}}
	_, text, ok := strings.Cut(string(LocalRegistry(i)), "kind: Namespace")
	if !ok {
		t.Fatal("the namespace is not made")
	}
	_, text, _ = strings.Cut(text, "---\n")
	var config struct{ Data map[string]string }
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	var said map[string]string
	if err := yaml.Unmarshal([]byte(config.Data["localRegistryHosting.v1"]), &said); err != nil {
		t.Fatal(err)
	}
	if said["host"] != i.Registry() || said["hostFromClusterNetwork"] != "10.77.0.1:5001" {
		t.Errorf("the registry is said to be at %v", said)
	}
}
