package deploy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func want[T any](v T) *T { return &v }

func desired(t *testing.T, live *servingv1.Service, s Spec) *servingv1.Service {
	t.Helper()
	svc, err := Desired(live, s)
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

// env is the container's environment as K=V.
func env(svc *servingv1.Service) []string {
	var out []string
	for _, v := range svc.Spec.Template.Spec.Containers[0].Env {
		switch {
		case v.ValueFrom == nil:
			out = append(out, v.Name+"="+v.Value)
		case v.ValueFrom.SecretKeyRef != nil:
			out = append(out, v.Name+"=secret:"+v.ValueFrom.SecretKeyRef.Name+":"+v.ValueFrom.SecretKeyRef.Key)
		case v.ValueFrom.ConfigMapKeyRef != nil:
			out = append(out, v.Name+"=configMap:"+v.ValueFrom.ConfigMapKeyRef.Name+":"+v.ValueFrom.ConfigMapKeyRef.Key)
		}
	}
	return out
}

func TestDesiredFromFlags(t *testing.T) {
	s := spec("1")
	s.Env = []EnvEdit{{Name: "A", Value: "1"}, {Name: "B", Value: "x=y"}, {Name: "A", Value: "2"}}
	s.Scale = Scale{Min: want[int64](0), Max: want[int64](3), Target: want(12.5), Window: 6 * time.Second}
	s.ConcurrencyLimit, s.Port = want[int64](7), 9999
	svc := desired(t, nil, s)
	c := svc.Spec.Template.Spec.Containers[0]
	if c.Image != image("1") || c.Ports[0].ContainerPort != 9999 || *svc.Spec.Template.Spec.ContainerConcurrency != 7 {
		t.Errorf("container = %+v", c)
	}
	if diff := cmp.Diff([]string{"A=2", "B=x=y"}, env(svc)); diff != "" {
		t.Error(diff)
	}
	annotations := map[string]string{
		UserImageKey: "reg.example/fn:latest", "autoscaling.knative.dev/min-scale": "0", "autoscaling.knative.dev/max-scale": "3",
		"autoscaling.knative.dev/target": "12.5", "autoscaling.knative.dev/window": "6s",
	}
	if diff := cmp.Diff(annotations, svc.Spec.Template.Annotations); diff != "" {
		t.Error(diff)
	}
}

func TestDesiredKeepsWhatItDoesNotKnow(t *testing.T) {
	live := desired(t, nil, spec("1"))
	template := &live.Spec.Template
	template.Annotations["example.com/owner"] = "somebody"
	template.Spec.NodeSelector = map[string]string{"disk": "fast"}
	template.Spec.Containers[0].Args = []string{"--verbose"}
	s := spec("2")
	s.Env = []EnvEdit{{Name: "A", Value: "1"}}
	next := desired(t, live, s).Spec.Template
	if next.Annotations["example.com/owner"] != "somebody" || next.Spec.NodeSelector["disk"] != "fast" || !slices.Equal(next.Spec.Containers[0].Args, []string{"--verbose"}) {
		t.Errorf("something was lost: %+v", next)
	}
	if live.Spec.Template.Spec.Containers[0].Image != image("1") {
		t.Error("the live object was changed")
	}
}

func TestDesiredFromProject(t *testing.T) {
	s := spec("1")
	s.Project = &Project{
		Runtime: "go",
		Env: []Var{
			{Name: "PLAIN", Value: "v"},
			{Name: "PASSWORD", From: SecretKey, Object: "db", Key: "password"},
			{Name: "MODE", From: ConfigMapKey, Object: "settings", Key: "mode"},
			{From: AllOfSecret, Object: "more"},
			{From: AllOfConfigMap, Object: "most"},
		},
		Volumes:     []Volume{{Path: "/etc/tls", Secret: "tls"}, {Path: "/scratch", EmptyDir: true, SizeLimit: "1Gi"}},
		Annotations: map[string]string{"autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev", "team": "a"},
		Labels:      map[string]string{"tier": "web"},
		Concurrency: want[int64](5),
		Requests:    map[string]string{"cpu": "100m"},
		Limits:      map[string]string{"memory": "128Mi"},
		Liveness:    "/live", Readiness: "/ready",
		ServiceAccount: "runner", ImagePullSecret: "regcred",
	}
	svc := desired(t, nil, s)
	ps := svc.Spec.Template.Spec
	c := ps.Containers[0]
	if diff := cmp.Diff([]string{"PLAIN=v", "PASSWORD=secret:db:password", "MODE=configMap:settings:mode"}, env(svc)); diff != "" {
		t.Error(diff)
	}
	checks := map[string]bool{
		"all of secret and config map":        len(c.EnvFrom) == 2 && c.EnvFrom[0].SecretRef.Name == "more" && c.EnvFrom[1].ConfigMapRef.Name == "most",
		"volumes":                             len(ps.Volumes) == 2 && ps.Volumes[0].Name == "vol-etc-tls" && c.VolumeMounts[0].ReadOnly && !c.VolumeMounts[1].ReadOnly,
		"autoscaling goes to revisions only":  svc.Annotations["autoscaling.knative.dev/class"] == "" && svc.Spec.Template.Annotations["autoscaling.knative.dev/class"] != "",
		"other annotations go to both":        svc.Annotations["team"] == "a" && svc.Spec.Template.Annotations["team"] == "a",
		"labels, with func's":                 svc.Labels["tier"] == "web" && svc.Labels["function.knative.dev/runtime"] == "go" && svc.Spec.Template.Labels["tier"] == "web",
		"concurrency":                         *ps.ContainerConcurrency == 5,
		"resources":                           c.Resources.Requests.Cpu().String() == "100m" && c.Resources.Limits.Memory().String() == "128Mi",
		"probes":                              c.LivenessProbe.HTTPGet.Path == "/live" && c.ReadinessProbe.HTTPGet.Path == "/ready",
		"service account and its pull secret": ps.ServiceAccountName == "runner" && ps.ImagePullSecrets[0].Name == "regcred",
	}
	for what, ok := range checks {
		if !ok {
			t.Errorf("%s: not as asked for", what)
		}
	}
	// A second deploy of the same finds no difference.
	if !sameTemplate(svc, desired(t, svc, s)) {
		t.Error("the same project again is a different template")
	}
	// What leaves func.yaml leaves the service; what flags have set stays.
	s.Env = []EnvEdit{{Name: "FROM_FLAG", Value: "1"}}
	svc = desired(t, svc, s)
	s.Env, s.Project = nil, &Project{Runtime: "go", Env: []Var{{Name: "PLAIN", Value: "v"}}}
	svc = desired(t, svc, s)
	if diff := cmp.Diff([]string{"PLAIN=v", "FROM_FLAG=1"}, env(svc)); diff != "" {
		t.Error(diff)
	}
	ps = svc.Spec.Template.Spec
	c = ps.Containers[0]
	if len(c.EnvFrom)+len(ps.Volumes)+len(c.VolumeMounts)+len(c.Resources.Limits)+len(ps.ImagePullSecrets) != 0 ||
		ps.ServiceAccountName != "" || c.LivenessProbe != nil || svc.Labels["tier"] != "" || svc.Spec.Template.Annotations["team"] != "" {
		t.Errorf("something that left func.yaml is still there: %+v", ps)
	}
}

func TestEnvEdits(t *testing.T) {
	s := spec("1")
	s.Env = []EnvEdit{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: "C", Value: "3"}}
	live := desired(t, nil, s)
	s.Env = []EnvEdit{{Name: "B", Remove: true}, {Name: "A", Value: "9"}, {Name: "NEVER", Remove: true}}
	if diff := cmp.Diff([]string{"A=9", "C=3"}, env(desired(t, live, s))); diff != "" {
		t.Error(diff)
	}
}

func TestParseEnv(t *testing.T) {
	tests := []struct {
		args []string
		want []EnvEdit
		says string // of the error
	}{
		{[]string{"A=1", "B="}, []EnvEdit{{Name: "A", Value: "1"}, {Name: "B"}}, ""},
		{[]string{"A=x=y,z"}, []EnvEdit{{Name: "A", Value: "x=y,z"}}, ""},
		{[]string{"A-"}, []EnvEdit{{Name: "A", Remove: true}}, ""},
		{[]string{"A-=1"}, []EnvEdit{{Name: "A-", Value: "1"}}, ""},
		{[]string{"A"}, nil, "neither NAME=VALUE nor NAME-"},
		{[]string{"=1"}, nil, "the name is empty"},
		{[]string{"1A=1"}, nil, "not a variable's name"},
		{[]string{"A B=1"}, nil, "not a variable's name"},
	}
	for _, tt := range tests {
		got, err := ParseEnv(tt.args)
		if tt.says != "" {
			if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q: error %v, want %q", tt.args, err, tt.says)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", tt.args, err, diff)
		}
	}
}

// TestDesiredRefuses applies Knative's own rules before anything is sent.
func TestDesiredRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Spec)
		says   string
	}{
		{"window", func(s *Spec) { s.Scale.Window = time.Second }, "autoscaling.knative.dev/window"},
		{"min above max", func(s *Spec) { s.Scale = Scale{Min: want[int64](5), Max: want[int64](2)} }, "min-scale"},
		{"target", func(s *Spec) { s.Scale.Target = want(0.0) }, "autoscaling.knative.dev/target"},
		{"reserved port", func(s *Spec) { s.Port = 8012 }, "8012"},
		{"reserved variable", func(s *Spec) { s.Env = []EnvEdit{{Name: "PORT", Value: "1"}} }, "PORT"},
		{"quantity", func(s *Spec) { s.Project = &Project{Limits: map[string]string{"memory": "much"}} }, "not a quantity"},
		{"size limit", func(s *Spec) {
			s.Project = &Project{Volumes: []Volume{{Path: "/x", EmptyDir: true, SizeLimit: "big"}}}
		}, "not a quantity"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := spec("1")
			tt.change(&s)
			_, err := Desired(nil, s)
			if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want a usage error about %s", err, tt.says)
			}
		})
	}
}

func TestNextName(t *testing.T) {
	revisions := func(names ...string) []servingv1.Revision {
		out := make([]servingv1.Revision, len(names))
		for i, n := range names {
			out[i].Name = n
		}
		return out
	}
	live := &servingv1.Service{}
	live.Spec.Template.Name = "fn-v8"
	tests := []struct {
		name      string
		live      *servingv1.Service
		revisions []servingv1.Revision
		want      string
	}{
		{"first", nil, nil, "fn-v1"},
		{"after two", nil, revisions("fn-v1", "fn-v2"), "fn-v3"},
		{"by number, not by name", nil, revisions("fn-v9", "fn-v10"), "fn-v11"},
		{"gaps stay gaps", nil, revisions("fn-v5"), "fn-v6"},
		{"other names do not count", nil, revisions("fn-00007", "fn-blue", "fn-v2x", "fn-v02", "other-v9", "fn-v"), "fn-v1"},
		{"the template counts", live, revisions("fn-v3"), "fn-v9"},
	}
	for _, tt := range tests {
		if got := nextName("fn", tt.live, tt.revisions); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestManifest(t *testing.T) {
	s := spec("1")
	s.Revision = "blue"
	svc, err := Preview(s, "ns")
	if err != nil {
		t.Fatal(err)
	}
	svc.Status.URL = nil
	svc.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "EMPTY"}}
	m := Manifest(svc)
	if _, has := m["status"]; has {
		t.Error("a manifest has no status")
	}
	if _, has := m["metadata"].(map[string]any)["creationTimestamp"]; has {
		t.Error("a manifest has no creationTimestamp")
	}
	if name := m["spec"].(map[string]any)["template"].(map[string]any)["metadata"].(map[string]any)["name"]; name != "fn-blue" {
		t.Errorf("revision %v", name)
	}
}

// TestAnnotationsGoWhereKnativeReadsThem: some are for the service, some for
// its revisions, all others for both.
func TestAnnotationsGoWhereKnativeReadsThem(t *testing.T) {
	live := &servingv1.Service{}
	live.Name = "fn"
	live.Annotations = map[string]string{"serving.knative.dev/progress-deadline": "60s"} // as an earlier release wrote it
	svc, err := Desired(live, Spec{Service: "fn", Image: image("1"), Project: &Project{Annotations: map[string]string{
		"serving.knative.dev/progress-deadline": "120s", "serving.knative.dev/no-gc": "true",
		"serving.knative.dev/rollout-duration": "60s", "team": "a", "autoscaling.knative.dev/min-scale": "1",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	has := func(m map[string]string, keys ...string) bool {
		for _, k := range keys {
			if m[k] == "" {
				return false
			}
		}
		return true
	}
	if !has(svc.Spec.Template.Annotations, "serving.knative.dev/progress-deadline", "serving.knative.dev/no-gc", "team", "autoscaling.knative.dev/min-scale") ||
		svc.Spec.Template.Annotations["serving.knative.dev/rollout-duration"] != "" {
		t.Errorf("template %v", svc.Spec.Template.Annotations)
	}
	if !has(svc.Annotations, "serving.knative.dev/rollout-duration", "team") || svc.Annotations["serving.knative.dev/progress-deadline"] != "" {
		t.Errorf("service %v", svc.Annotations)
	}
}
