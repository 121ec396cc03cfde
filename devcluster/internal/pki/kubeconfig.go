package pki

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Kubeconfig returns a kubeconfig, as YAML, for the subject whose files are in dir.
// name is used for the cluster, the user and the context; server is a URL. Keys
// are embedded, so that the file works wherever it is copied.
func Kubeconfig(dir, file, name, server string) ([]byte, error) {
	data := map[string]string{}
	for key, base := range map[string]string{"ca": "ca.crt", "crt": file + ".crt", "key": file + ".key"} {
		b, err := os.ReadFile(filepath.Join(dir, base))
		if err != nil {
			return nil, fmt.Errorf("kubeconfig for %s: %w", file, err)
		}
		data[key] = base64.StdEncoding.EncodeToString(b)
	}
	type object = map[string]any
	return yaml.Marshal(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"clusters": []object{{"name": name, "cluster": object{
			"server": server, "certificate-authority-data": data["ca"],
		}}},
		"users": []object{{"name": name, "user": object{
			"client-certificate-data": data["crt"], "client-key-data": data["key"],
		}}},
		"contexts": []object{{"name": name, "context": object{
			"cluster": name, "user": name, "namespace": "default",
		}}},
	})
}
