package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Difference is one setting that a deploy changes, in the words of who deploys.
type Difference struct {
	Setting string // e.g. "image", "env LOG", "scale max"
	Before  string // "": it is not set
	After   string // "": it is removed
	// Revision reports whether a revision is made for it; else it is changed on the
	// service alone.
	Revision bool
}

// Differences returns what turns the settings of live into those of next, sorted
// by name. What an API server fills in by itself is no difference, nor are the
// split, kn-lite's own notes and a revision's name. Live may be nil. Values that
// look like secrets are replaced, and so are those of the variables in hidden.
func Differences(live, next *servingv1.Service, hidden map[string]bool) []Difference {
	var out []Difference
	secrets := newSecrets()
	before, after := settingsOf(live), settingsOf(next)
	if live == nil {
		// What every new service gets is not news.
		blank := &servingv1.Service{}
		blank.Spec.Template.Spec.Containers = []corev1.Container{{}}
		for at, value := range settingsOf(blank) {
			if after[at] == value {
				delete(after, at)
			}
		}
	}
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, at := range slices.SortedFunc(maps.Keys(all), compareSettings) {
		was, is := before[at], after[at]
		if was == is {
			continue
		}
		if at.variable != "" && (hidden[at.variable] || is == "" || secrets.names(at.variable)) {
			was, is = hide(was), hide(is)
		}
		out = append(out, Difference{Setting: at.name, Before: secrets.masked(was), After: secrets.masked(is), Revision: at.revision})
	}
	return out
}

// setting is where a value stands.
type setting struct {
	revision bool
	name     string
	variable string // of the environment; "" is something else
}

// compareSettings puts what makes a revision first.
func compareSettings(a, b setting) int {
	if a.revision != b.revision {
		if a.revision {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.name, b.name)
}

func settingsOf(svc *servingv1.Service) map[setting]string {
	out := make(map[setting]string)
	if svc == nil {
		return out
	}
	own := metadata(svc)
	flatten(out, false, "label", own[0])
	for key, value := range own[1] {
		if !filledIn(key) {
			out[setting{revision: false, name: annotationWord(key)}] = value
		}
	}
	template := essence(svc.Spec.Template)
	flatten(out, true, "revision label", template.Labels)
	for key, value := range template.Annotations {
		if !filledIn(key) {
			out[setting{revision: true, name: annotationWord(key)}] = value
		}
	}
	user := knative.UserContainer(template.Spec.Containers)
	for i := range template.Spec.Containers {
		c := &template.Spec.Containers[i]
		prefix := ""
		if c != user {
			prefix = "container " + c.Name + ": "
		}
		flattenContainer(out, prefix, c)
	}
	for i := range template.Spec.InitContainers {
		c := &template.Spec.InitContainers[i]
		flattenContainer(out, "init container "+c.Name+": ", c)
	}
	rest := asMap(template.Spec)
	delete(rest, "containers")
	delete(rest, "initContainers")
	walk(rest, "", func(path, value string) { out[setting{revision: true, name: specWord(path)}] = value })
	return out
}

func flatten(out map[setting]string, revision bool, word string, values map[string]string) {
	for key, value := range values {
		out[setting{revision: revision, name: word + " " + key}] = value
	}
}

func flattenContainer(out map[setting]string, prefix string, c *corev1.Container) {
	for _, v := range c.Env {
		out[setting{revision: true, name: prefix + "env " + v.Name, variable: v.Name}] = envText(v)
	}
	for _, from := range c.EnvFrom {
		switch {
		case from.SecretRef != nil:
			out[setting{revision: true, name: prefix + "env from secret " + from.SecretRef.Name}] = "all keys" + withPrefix(from.Prefix)
		case from.ConfigMapRef != nil:
			out[setting{revision: true, name: prefix + "env from config map " + from.ConfigMapRef.Name}] = "all keys" + withPrefix(from.Prefix)
		}
	}
	for _, m := range c.VolumeMounts {
		out[setting{revision: true, name: prefix + "mount " + m.MountPath}] = "volume " + m.Name
	}
	for _, port := range c.Ports {
		out[setting{revision: true, name: prefix + "port"}] = strings.TrimSpace(fmt.Sprint(port.ContainerPort, " ", port.Name))
	}
	rest := asMap(c)
	for _, done := range []string{"env", "envFrom", "volumeMounts", "ports", "name"} {
		delete(rest, done)
	}
	walk(rest, "", func(path, value string) { out[setting{revision: true, name: prefix + specWord(path)}] = value })
}

func withPrefix(prefix string) string {
	if prefix == "" {
		return ""
	}
	return ", as " + prefix + "KEY"
}

func envText(v corev1.EnvVar) string {
	from := v.ValueFrom
	switch {
	case from == nil:
		return fmt.Sprintf("%q", v.Value) // "" is set to nothing, and not unset
	case from.SecretKeyRef != nil:
		return "secret " + from.SecretKeyRef.Name + ", key " + from.SecretKeyRef.Key
	case from.ConfigMapKeyRef != nil:
		return "config map " + from.ConfigMapKeyRef.Name + ", key " + from.ConfigMapKeyRef.Key
	case from.FieldRef != nil:
		return "field " + from.FieldRef.FieldPath
	case from.ResourceFieldRef != nil:
		return "resource " + from.ResourceFieldRef.Resource
	}
	return "another source"
}

// walk calls visit for every value in a decoded JSON object. An item of a list goes
// by its name, where it has one, so that its place in the list is no difference.
func walk(v any, path string, visit func(path, value string)) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for key, value := range v {
			walk(value, join(path, key), visit)
		}
	case []any:
		for i, item := range v {
			name := fmt.Sprint(i)
			if m, ok := item.(map[string]any); ok {
				if named, ok := m["name"].(string); ok && named != "" {
					name = named
				}
			}
			walk(item, join(path, name), visit)
		}
	default:
		visit(path, fmt.Sprint(v))
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// specWord is what a field of a container or a template is called here: as its flag
// or key in func.yaml where there is one, else by its path in the API.
func specWord(path string) string {
	if word, ok := map[string]string{
		"containerConcurrency":        "concurrency limit",
		"timeoutSeconds":              "request timeout in seconds",
		"responseStartTimeoutSeconds": "response start timeout in seconds",
		"idleTimeoutSeconds":          "idle timeout in seconds",
		"serviceAccountName":          "service account",
		"imagePullSecrets.0":          "image pull secret",
		"resources.requests.cpu":      "cpu request",
		"resources.requests.memory":   "memory request",
		"resources.limits.cpu":        "cpu limit",
		"resources.limits.memory":     "memory limit",
	}[path]; ok {
		return word
	}
	return path
}

// annotationWord is what an annotation is called here.
func annotationWord(key string) string {
	name, ok := strings.CutPrefix(key, autoscaling)
	if !ok {
		return "annotation " + key
	}
	if word, ok := map[string]string{"min-scale": "scale min", "max-scale": "scale max", "target-utilization-percentage": "scale utilization"}[name]; ok {
		return word
	}
	return "scale " + name
}

// filledIn reports whether no user writes an annotation, but the webhook or kn-lite.
func filledIn(key string) bool {
	return strings.HasPrefix(key, traffic.Prefix) || key == serving+"creator" || key == serving+"lastModifier" || key == UserImageKey
}
