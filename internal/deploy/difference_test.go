package deploy

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// TestDifferences: each setting by the name that users know, what others fill in is
// no difference, and no secret is shown.
func TestDifferences(t *testing.T) {
	live := &servingv1.Service{}
	live.Name = "fn"
	live.Annotations = map[string]string{"serving.knative.dev/creator": "someone", "kn-lite.dev/deploy": "{}", "example.com/team": "a"}
	live.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/max-scale": "3"}
	live.Spec.Template.Spec.Containers = []corev1.Container{{
		Image: "r.example/fn@sha256:1",
		Env: []corev1.EnvVar{
			{Name: "OLD", Value: "x"},
			{Name: "API_TOKEN", Value: "first"},
			{Name: "URL", Value: "postgres://me:open@db/x"},
			{Name: "EMPTY", Value: "full"},
			{Name: "FROM_CI", Value: "first"},
			{Name: "SAME", Value: "same"},
		},
		Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
	}}
	live.SetDefaults(t.Context())

	next := live.DeepCopy()
	next.Annotations["serving.knative.dev/lastModifier"] = "other"
	next.Annotations["example.com/team"] = "b"
	next.Annotations["kn-lite.dev/deploy"] = "{other}"
	next.Labels = map[string]string{"tier": "web"}
	next.Spec.Template.Name = "fn-v2"
	next.Spec.Template.Annotations["autoscaling.knative.dev/max-scale"] = "5"
	c := &next.Spec.Template.Spec.Containers[0]
	c.Image = "r.example/fn@sha256:2"
	c.Ports[0].Name = "h2c"
	c.Env = []corev1.EnvVar{
		{Name: "SAME", Value: "same"}, // another place in the list
		{Name: "API_TOKEN", Value: "second"},
		{Name: "URL", Value: "postgres://me:sesame@db/y"},
		{Name: "EMPTY", Value: ""},
		{Name: "FROM_CI", Value: "second"},
		{Name: "LOGIN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}, Key: "login"}}},
	}
	c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")}

	var got []string
	for _, d := range Differences(live, next, map[string]bool{"FROM_CI": true}) {
		where := "service"
		if d.Revision {
			where = "revision"
		}
		got = append(got, where+": "+d.Setting+": "+d.Before+" → "+d.After)
	}
	want := []string{
		`revision: env API_TOKEN: (hidden) → (hidden)`,
		`revision: env EMPTY: "full" → ""`,
		`revision: env FROM_CI: (hidden) → (hidden)`,
		`revision: env LOGIN:  → secret db, key login`,
		`revision: env OLD: (hidden) → `,
		`revision: env URL: "postgres://me:***@db/x" → "postgres://me:***@db/y"`,
		`revision: env from config map settings:  → all keys`,
		`revision: image: r.example/fn@sha256:1 → r.example/fn@sha256:2`,
		`revision: memory limit:  → 128Mi`,
		`revision: port: 8080 → 8080 h2c`,
		`revision: scale max: 3 → 5`,
		`service: annotation example.com/team: a → b`,
		`service: label tier:  → web`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// A container beside the user's has secrets, too.
	beside := next.DeepCopy()
	beside.Spec.Template.Spec.Containers = append(beside.Spec.Template.Spec.Containers, corev1.Container{Name: "proxy", Image: "r.example/proxy", Env: []corev1.EnvVar{{Name: "API_TOKEN", Value: "sesame"}}})
	if added := Differences(next, beside, nil); !slices.ContainsFunc(added, func(d Difference) bool {
		return d == Difference{Setting: "container proxy: env API_TOKEN", After: "(hidden)", Revision: true}
	}) {
		t.Errorf("of another container: %+v", added)
	}
	if again := Differences(next, next, nil); len(again) != 0 {
		t.Errorf("a service differs from itself: %v", again)
	}
}

// TestDifferencesOfANewService leaves out what every service gets.
func TestDifferencesOfANewService(t *testing.T) {
	svc, err := Preview(Spec{Service: "fn", Image: "r.example/fn@sha256:" + strings.Repeat("1", 64)}, "demo")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range Differences(nil, svc, nil) {
		got = append(got, d.Setting)
	}
	if strings.Join(got, "|") != "image|label app.kubernetes.io/managed-by" {
		t.Errorf("%q", got)
	}
}

// TestSecretsInValues: what looks like a secret inside of a value is not shown.
func TestSecretsInValues(t *testing.T) {
	for value, want := range map[string]string{
		"https://x/?token=abc&page=2":          "https://x/?token=***&page=2",
		"Server=db;Password=abc;Timeout=3":     "Server=db;Password=***;Timeout=3",
		"--api-key=abc -v":                     "--api-key=*** -v",
		"Bearer abc.def":                       "Bearer ***",
		"postgres://me:abc@db/x":               "postgres://me:***@db/x",
		"monkey business, keys and passengers": "monkey business, keys and passengers",
	} {
		if got := newSecrets().masked(value); got != want {
			t.Errorf("%q is shown as %q, want %q", value, got, want)
		}
	}
	for _, name := range []string{"DB_PASS", "PASSPHRASE", "PWD_X", "AUTH", "API_KEY", "GITHUB_PAT"} {
		if !newSecrets().names(name) {
			t.Errorf("%s is shown", name)
		}
	}
}
