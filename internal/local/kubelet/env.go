package kubelet

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// environment works out the variables that a container's spec gives it.
func environment(s *store.Store, p *corev1.Pod, c *corev1.Container) (map[string]string, error) {
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		if err := envFrom(s, p, from, env); err != nil {
			return nil, err
		}
	}
	lookup := func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	for _, v := range c.Env {
		value, set := expand(v.Value, lookup), true
		if v.Value == "" && v.ValueFrom != nil {
			var err error
			if value, set, err = valueFrom(s, p, c, v.ValueFrom); err != nil {
				return nil, err
			}
		}
		if set {
			env[v.Name] = value
		}
	}
	return env, nil
}

func envFrom(s *store.Store, p *corev1.Pod, from corev1.EnvFromSource, env map[string]string) error {
	switch {
	case from.ConfigMapRef != nil:
		config, err := find[*corev1.ConfigMap](s, p.Namespace, from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		if config == nil || err != nil {
			return err
		}
		for key, value := range config.Data {
			env[from.Prefix+key] = value
		}
	case from.SecretRef != nil:
		secret, err := find[*corev1.Secret](s, p.Namespace, from.SecretRef.Name, from.SecretRef.Optional)
		if secret == nil || err != nil {
			return err
		}
		for key, value := range secret.Data {
			env[from.Prefix+key] = string(value)
		}
	}
	return nil
}

// find returns an object; one that is optional may be missing, and is nil then.
func find[T interface {
	comparable
	store.Object
}](s *store.Store, namespace, name string, optional *bool) (T, error) {
	object, ok := store.Get[T](s, namespace, name)
	if ok || optional != nil && *optional {
		return object, nil
	}
	return object, notFound(object, name)
}

// notFound says it in the words of a cluster's kubelet.
func notFound(object store.Object, name string) error {
	if _, ok := object.(*corev1.Secret); ok {
		return fmt.Errorf("secret %q not found", name)
	}
	if _, ok := object.(*corev1.ConfigMap); ok {
		return fmt.Errorf("configmap %q not found", name)
	}
	return apierrors.NewNotFound(corev1.Resource("objects"), name)
}

// valueFrom is the value that a source has; set is false for an optional one that
// is missing.
func valueFrom(s *store.Store, p *corev1.Pod, c *corev1.Container, from *corev1.EnvVarSource) (value string, set bool, err error) {
	switch {
	case from.FieldRef != nil:
		value, err = podField(p, from.FieldRef.FieldPath)
	case from.ResourceFieldRef != nil:
		value, err = resourceField(p, c, from.ResourceFieldRef)
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		config, err := find[*corev1.ConfigMap](s, p.Namespace, ref.Name, ref.Optional)
		if config == nil || err != nil {
			return "", false, err
		}
		if value, ok := config.Data[ref.Key]; ok {
			return value, true, nil
		}
		return "", false, missingKey(ref.Key, "ConfigMap", p.Namespace, ref.Name, ref.Optional)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		secret, err := find[*corev1.Secret](s, p.Namespace, ref.Name, ref.Optional)
		if secret == nil || err != nil {
			return "", false, err
		}
		if value, ok := secret.Data[ref.Key]; ok {
			return string(value), true, nil
		}
		return "", false, missingKey(ref.Key, "Secret", p.Namespace, ref.Name, ref.Optional)
	}
	return value, err == nil, err
}

func missingKey(key, kind, namespace, name string, optional *bool) error {
	if optional != nil && *optional {
		return nil
	}
	return fmt.Errorf("couldn't find key %s in %s %s/%s", key, kind, namespace, name)
}

// withImage adds what the image and the machine say, where the spec does not.
func withImage(env map[string]string, image Image, hostname string) map[string]string {
	out := map[string]string{"HOSTNAME": hostname}
	for _, v := range image.Env {
		name, value, _ := cut(v)
		out[name] = value
	}
	if out["PATH"] == "" {
		out["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	maps.Copy(out, env)
	return out
}

// withPorts gives PORT the value that makes the container reachable on the port
// that it wants.
func withPorts(env map[string]string, c *corev1.Container, sandbox Sandbox) {
	for _, port := range c.Ports {
		if env["PORT"] == strconv.Itoa(int(port.ContainerPort)) {
			env["PORT"] = strconv.Itoa(int(sandbox.Port(port.ContainerPort)))
			return
		}
	}
}

func joined(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, name+"="+env[name])
	}
	return out
}
