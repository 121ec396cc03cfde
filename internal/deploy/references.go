package deploy

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// reference is an object that a template needs and that is not part of it.
type reference struct {
	kind string // secret, configmap, persistentvolumeclaim, serviceaccount
	name string
}

// references lists what a pod of the template cannot start without, each once.
// A pull secret is none: without it a public image is pulled all the same.
func references(spec *corev1.PodSpec) []reference {
	var out []reference
	seen := make(map[reference]bool)
	add := func(kind, name string, optional *bool) {
		r := reference{kind, name}
		if name == "" || seen[r] || optional != nil && *optional {
			return
		}
		seen[r] = true
		out = append(out, r)
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		for _, v := range c.Env {
			if v.ValueFrom == nil {
				continue
			}
			if s := v.ValueFrom.SecretKeyRef; s != nil {
				add("secret", s.Name, s.Optional)
			}
			if m := v.ValueFrom.ConfigMapKeyRef; m != nil {
				add("configmap", m.Name, m.Optional)
			}
		}
		for _, from := range c.EnvFrom {
			if s := from.SecretRef; s != nil {
				add("secret", s.Name, s.Optional)
			}
			if m := from.ConfigMapRef; m != nil {
				add("configmap", m.Name, m.Optional)
			}
		}
	}
	for _, v := range spec.Volumes {
		if s := v.Secret; s != nil {
			add("secret", s.SecretName, s.Optional)
		}
		if m := v.ConfigMap; m != nil {
			add("configmap", m.Name, m.Optional)
		}
		if p := v.PersistentVolumeClaim; p != nil {
			add("persistentvolumeclaim", p.ClaimName, nil)
		}
		if v.Projected == nil {
			continue
		}
		for _, from := range v.Projected.Sources {
			if s := from.Secret; s != nil {
				add("secret", s.Name, s.Optional)
			}
			if m := from.ConfigMap; m != nil {
				add("configmap", m.Name, m.Optional)
			}
		}
	}
	add("serviceaccount", spec.ServiceAccountName, nil)
	return out
}

// Preflight finds what a deploy of spec would fail at for want of objects that
// it refers to, before anything is built. The image need not be known. warn
// hears what may do harm and need not.
func Preflight(ctx context.Context, cluster Cluster, spec Spec, warn func(string)) error {
	live, err := cluster.FindService(ctx, spec.Service)
	if err != nil {
		return err
	}
	svc, err := assemble(live, spec)
	if err != nil {
		return err
	}
	pod := &svc.Spec.Template.Spec.PodSpec
	if err := checkReferences(ctx, cluster, pod); err != nil {
		return err
	}
	for _, secret := range pod.ImagePullSecrets {
		there, err := cluster.Exists(ctx, "secret", secret.Name)
		if err != nil {
			return err
		}
		if !there {
			warn(fmt.Sprintf("the image pull secret %s is not in namespace %s: only an image that needs none can be pulled", secret.Name, cluster.Namespace()))
		}
	}
	return nil
}

// checkReferences is a NotFound error that names all references of a pod that
// are not there. Whoever may not look at them is told by the cluster later.
func checkReferences(ctx context.Context, cluster Cluster, pod *corev1.PodSpec) error {
	var missing []string
	hint := "nothing was changed; create it first"
	for _, r := range references(pod) {
		there, err := cluster.Exists(ctx, r.kind, r.name)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		missing = append(missing, r.kind+"/"+r.name)
		if r.kind == "secret" {
			hint = fmt.Sprintf("nothing was changed; create it first, e.g. `kubectl -n %s create secret generic %s --from-literal=KEY=VALUE`", cluster.Namespace(), r.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.NotFound, "deploy.references", strings.Join(missing, ", "), "the service refers to it, and it is not in namespace %s", cluster.Namespace()).
		WithHint("%s", hint)
}
