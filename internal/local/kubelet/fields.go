package kubelet

import (
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func cut(v string) (name, value string, ok bool) { return strings.Cut(v, "=") }

// podField is the value of a field of the pod, for variables and files.
func podField(p *corev1.Pod, path string) (string, error) {
	if name, key, ok := strings.Cut(path, "['"); ok {
		key = strings.TrimSuffix(key, "']")
		switch name {
		case "metadata.annotations":
			return p.Annotations[key], nil
		case "metadata.labels":
			return p.Labels[key], nil
		}
		return "", fmt.Errorf("unsupported fieldPath: %s", path)
	}
	switch path {
	case "metadata.name":
		return p.Name, nil
	case "metadata.namespace":
		return p.Namespace, nil
	case "metadata.uid":
		return string(p.UID), nil
	case "metadata.annotations":
		return listed(p.Annotations), nil
	case "metadata.labels":
		return listed(p.Labels), nil
	case "spec.nodeName":
		return nodeName, nil
	case "spec.serviceAccountName":
		return accountOf(p), nil
	case "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs":
		return hostIP, nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %s", path)
}

// listed has a line for each, as in the files of a downward API volume.
func listed(m map[string]string) string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		lines = append(lines, fmt.Sprintf("%s=%q", key, m[key]))
	}
	return strings.Join(lines, "\n")
}

// resourceField is a limit or request of a container of the pod; a limit that is
// not set is what the machine has.
func resourceField(p *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" {
		all := slices.Concat(p.Spec.InitContainers, p.Spec.Containers)
		at := slices.IndexFunc(all, func(other corev1.Container) bool { return other.Name == ref.ContainerName })
		if at < 0 {
			return "", fmt.Errorf("container %s not found", ref.ContainerName)
		}
		c = &all[at]
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	var value resource.Quantity
	switch kind {
	case "limits":
		limit, ok := c.Resources.Limits[corev1.ResourceName(name)]
		if value = limit; !ok {
			value = ofMachine(corev1.ResourceName(name))
		}
	case "requests":
		value = c.Resources.Requests[corev1.ResourceName(name)]
	default:
		return "", fmt.Errorf("unsupported container resource : %s", ref.Resource)
	}
	return divided(name, value, ref.Divisor), nil
}

func ofMachine(name corev1.ResourceName) resource.Quantity {
	switch name {
	case corev1.ResourceCPU:
		return *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI)
	case corev1.ResourceMemory:
		return *resource.NewQuantity(machineMemory(), resource.BinarySI)
	}
	return resource.Quantity{}
}

// divided counts in units of divisor, rounding up.
func divided(name string, value, divisor resource.Quantity) string {
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if name == string(corev1.ResourceCPU) {
		return strconv.FormatInt(int64(math.Ceil(float64(value.MilliValue())/float64(divisor.MilliValue()))), 10)
	}
	return strconv.FormatInt(int64(math.Ceil(float64(value.Value())/float64(divisor.Value()))), 10)
}

// machineMemory is in bytes; 0 where the system does not say.
func machineMemory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var kilobytes int64
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kilobytes); err != nil {
		return 0
	}
	return kilobytes << 10
}
