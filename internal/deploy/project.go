package deploy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/traffic"
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
		} else {
			delete(e.svc.Annotations, key) // where an earlier release put it
		}
		if !onServiceOnly(key) {
			e.annotate(key, value)
		}
	}
	for key, value := range p.allLabels() {
		e.svc.Labels = put(e.svc.Labels, key, value)
		if key != visibilityLabel { // of the route, and of no revision
			e.template.Labels = put(e.template.Labels, key, value)
		}
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
		e.container.StartupProbe = e.startupProbe(p)
	}
	if p.Readiness != "" {
		e.container.ReadinessProbe = probe(e.container.ReadinessProbe, p.Readiness)
	}
	e.runAs(p.RunAs)
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
	if p.Domain != "" {
		// func's label, by which Knative's config-domain chooses a domain for a service.
		out = put(out, "func.domain", p.Domain)
	}
	if p.ClusterLocal {
		out = put(out, visibilityLabel, clusterLocal)
	}
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
		"serviceAccount": p.ServiceAccount != "", "startup": p.Liveness != "", "runAs": p.RunAs != RunAs{},
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
		case "startup":
			e.container.StartupProbe = nil
		case "runAs":
			e.container.SecurityContext = nil
		case "serviceAccount":
			e.template.Spec.ServiceAccountName = ""
		}
	}
}

// recorded and record read and write the list of paths. A list that cannot be
// read is taken as empty: then nothing is removed, which is the safe side.
func (e *editor) recorded() []string {
	var out []string
	if err := json.Unmarshal([]byte(e.svc.Annotations[traffic.ProjectKey]), &out); err != nil {
		return nil
	}
	return out
}

func (e *editor) record(paths []string) {
	// A list of strings cannot fail to marshal.
	raw, _ := json.Marshal(paths)
	e.svc.Annotations = traffic.Change{}.Annotate(traffic.ProjectKey, string(raw)).ApplyTo(e.svc.Annotations)
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

func put(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = make(map[string]string)
	}
	m[key] = value
	return m
}
