package deploy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// project applies func.yaml. What an earlier deploy took from it and that has
// left it since is removed; what other tools or flags have set stays.
func (e *editor) project(p *Project) error {
	paths := p.paths()
	for _, old := range e.recorded() {
		if !slices.Contains(paths, old) {
			e.forget(old)
		}
	}
	for key, value := range p.Annotations {
		if !onRevisionsOnly(key) {
			e.svc.Annotations = put(e.svc.Annotations, key, value)
		}
		if !onServiceOnly(key) {
			e.annotate(key, value)
		}
	}
	for key, value := range p.allLabels() {
		e.svc.Labels = put(e.svc.Labels, key, value)
		e.template.Labels = put(e.template.Labels, key, value)
	}
	e.scale(p.Scale)
	if p.Concurrency != nil {
		e.template.Spec.ContainerConcurrency = p.Concurrency
	}
	for _, v := range p.Env {
		if v.Name != "" {
			e.set(envVar(v))
		} else if from := envFrom(v); !slices.ContainsFunc(e.container.EnvFrom, sameSource(from)) {
			e.container.EnvFrom = append(e.container.EnvFrom, from)
		}
	}
	for _, v := range p.Volumes {
		if err := e.mount(v); err != nil {
			return err
		}
	}
	if err := e.resources("request", &e.container.Resources.Requests, p.Requests); err != nil {
		return err
	}
	if err := e.resources("limit", &e.container.Resources.Limits, p.Limits); err != nil {
		return err
	}
	if p.Liveness != "" {
		e.container.LivenessProbe = probe(e.container.LivenessProbe, p.Liveness)
	}
	if p.Readiness != "" {
		e.container.ReadinessProbe = probe(e.container.ReadinessProbe, p.Readiness)
	}
	if p.ServiceAccount != "" {
		e.template.Spec.ServiceAccountName = p.ServiceAccount
	}
	if s := (corev1.LocalObjectReference{Name: p.ImagePullSecret}); s.Name != "" && !slices.Contains(e.template.Spec.ImagePullSecrets, s) {
		e.template.Spec.ImagePullSecrets = append(e.template.Spec.ImagePullSecrets, s)
	}
	e.record(paths)
	return nil
}

// allLabels adds the labels by which func and its plugins find their services.
func (p *Project) allLabels() map[string]string {
	out := maps.Clone(p.Labels)
	if p.Runtime == "" {
		return out
	}
	out = put(out, "function.knative.dev", "true")
	if p.Name != "" {
		out = put(out, "function.knative.dev/name", p.Name)
	}
	return put(out, "function.knative.dev/runtime", p.Runtime)
}

// paths names everything that the project sets, for the next deploy.
func (p *Project) paths() []string {
	var out []string
	add := func(kind, name string) { out = append(out, kind+"/"+name) }
	for key := range p.Annotations {
		add("annotation", key)
	}
	for key := range scaleAnnotations(p.Scale) {
		add("annotation", key)
	}
	for key := range p.allLabels() {
		add("label", key)
	}
	for _, v := range p.Env {
		if v.Name != "" {
			add("env", v.Name)
		} else {
			add("envFrom", sourceName(envFrom(v)))
		}
	}
	for _, v := range p.Volumes {
		add("volume", volumeName(v.Path))
	}
	for name := range p.Requests {
		add("request", name)
	}
	for name := range p.Limits {
		add("limit", name)
	}
	for name, set := range map[string]bool{
		"concurrency": p.Concurrency != nil, "liveness": p.Liveness != "", "readiness": p.Readiness != "",
		"serviceAccount": p.ServiceAccount != "",
	} {
		if set {
			add("field", name)
		}
	}
	if p.ImagePullSecret != "" {
		add("pullSecret", p.ImagePullSecret)
	}
	slices.Sort(out)
	return out
}

// forget undoes one of paths.
func (e *editor) forget(path string) {
	kind, name, _ := strings.Cut(path, "/")
	switch kind {
	case "annotation":
		delete(e.svc.Annotations, name)
		delete(e.template.Annotations, name)
	case "label":
		delete(e.svc.Labels, name)
		delete(e.template.Labels, name)
	case "env":
		e.unset(name)
	case "envFrom":
		e.container.EnvFrom = slices.DeleteFunc(e.container.EnvFrom, func(f corev1.EnvFromSource) bool { return sourceName(f) == name })
	case "volume":
		e.unmount(name)
	case "request":
		delete(e.container.Resources.Requests, corev1.ResourceName(name))
	case "limit":
		delete(e.container.Resources.Limits, corev1.ResourceName(name))
	case "pullSecret":
		e.template.Spec.ImagePullSecrets = slices.DeleteFunc(e.template.Spec.ImagePullSecrets, func(r corev1.LocalObjectReference) bool { return r.Name == name })
	case "field":
		switch name {
		case "concurrency":
			e.template.Spec.ContainerConcurrency = nil
		case "liveness":
			e.container.LivenessProbe = nil
		case "readiness":
			e.container.ReadinessProbe = nil
		case "serviceAccount":
			e.template.Spec.ServiceAccountName = ""
		}
	}
}

// recorded and record read and write the list of paths. A list that cannot be
// read is taken as empty: then nothing is removed, which is the safe side.
func (e *editor) recorded() []string {
	var out []string
	if err := json.Unmarshal([]byte(e.svc.Annotations[projectKey]), &out); err != nil {
		return nil
	}
	return out
}

func (e *editor) record(paths []string) {
	// A list of strings cannot fail to marshal.
	raw, _ := json.Marshal(paths)
	e.svc.Annotations = put(e.svc.Annotations, projectKey, string(raw))
}

func envFrom(v Var) corev1.EnvFromSource {
	if v.From == AllOfSecret {
		return corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: v.Object}}}
	}
	return corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: v.Object}}}
}

func sourceName(f corev1.EnvFromSource) string {
	switch {
	case f.SecretRef != nil:
		return "secret:" + f.SecretRef.Name
	case f.ConfigMapRef != nil:
		return "configMap:" + f.ConfigMapRef.Name
	}
	return ""
}

func sameSource(a corev1.EnvFromSource) func(corev1.EnvFromSource) bool {
	return func(b corev1.EnvFromSource) bool { return sourceName(a) == sourceName(b) }
}

// volumeName is a DNS label derived from where the volume is mounted, so that
// the same func.yaml always gives the same name.
func volumeName(path string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.Trim(path, "/")) {
		if ('a' <= r && r <= 'z') || ('0' <= r && r <= '9') {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	name := "vol-" + strings.Trim(b.String(), "-")
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}

func (e *editor) mount(v Volume) error {
	name := volumeName(v.Path)
	source, err := volumeSource(v)
	if err != nil {
		return err
	}
	e.unmount(name)
	e.template.Spec.Volumes = append(e.template.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	e.container.VolumeMounts = append(e.container.VolumeMounts, corev1.VolumeMount{
		Name: name, MountPath: v.Path, ReadOnly: v.ReadOnly || v.Secret != "" || v.ConfigMap != "",
	})
	return nil
}

func (e *editor) unmount(name string) {
	e.template.Spec.Volumes = slices.DeleteFunc(e.template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
	e.container.VolumeMounts = slices.DeleteFunc(e.container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == name })
}

func volumeSource(v Volume) (corev1.VolumeSource, error) {
	switch {
	case v.Secret != "":
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: v.Secret}}, nil
	case v.ConfigMap != "":
		return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: v.ConfigMap}}}, nil
	case v.Claim != "":
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.Claim, ReadOnly: v.ReadOnly}}, nil
	}
	dir := &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMedium(v.Medium)}
	if v.SizeLimit != "" {
		limit, err := resource.ParseQuantity(v.SizeLimit)
		if err != nil {
			return corev1.VolumeSource{}, fault.New(fault.Usage, "deploy.desired", "volume "+v.Path, "sizeLimit %q is not a quantity: %w", v.SizeLimit, err)
		}
		dir.SizeLimit = &limit
	}
	return corev1.VolumeSource{EmptyDir: dir}, nil
}

func put(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = make(map[string]string)
	}
	m[key] = value
	return m
}
