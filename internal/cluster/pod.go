package cluster

import (
	"os"
	"strings"
)

// namespaceFile is where the kubelet mounts the namespace of a pod.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func podNamespace() string {
	raw, err := os.ReadFile(namespaceFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}
