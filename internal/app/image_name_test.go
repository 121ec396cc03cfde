package app

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/settings"
)

func TestImageTag(t *testing.T) {
	project := func(image, prefix string) *function.Function {
		return &function.Function{Name: "hello", Image: image, Registry: prefix}
	}
	tests := []struct {
		name, image string
		project     *function.Function
		setting     string
		want        string // "" is a usage error
	}{
		{"a name beats all", "reg.example/named:v1", project("reg.example/image", "reg.example/prefix"), "reg.example/setting", "reg.example/named:v1"},
		{"func.yaml's image", "", project("reg.example/image", "reg.example/prefix"), "reg.example/setting", "reg.example/image"},
		{"the variable beats func.yaml's registry", "", project("", "reg.example/prefix/"), "reg.example/setting/", "reg.example/setting/hello:latest"},
		{"func.yaml's registry", "", project("", "reg.example/prefix/"), "", "reg.example/prefix/hello:latest"},
		{"the settings' registry", "", project("", ""), "reg.example/setting", "reg.example/setting/hello:latest"},
		{"none", "", project("", ""), "", ""},
		{"no project", "", nil, "reg.example/setting", ""},
		{"no project, a name", "reg.example/named", nil, "", "reg.example/named"},
		{"a broken name", "reg.example/Flag", nil, "", ""},
	}
	for _, tt := range tests {
		env := func(name string) string { return map[string]string{"KN_LITE_REGISTRY": tt.setting}[name] }
		a := &App{Env: env, Settings: func() (*settings.Settings, error) { return settings.Load(settings.Sources{Env: env}) }}
		got, err := a.ImageTag(tt.image, tt.project, "")
		if tt.want == "" {
			if fault.KindOf(err) != fault.Usage {
				t.Errorf("%s: got %q, %v", tt.name, got, err)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v", tt.name, got, err)
		}
	}
}

// Knative's own types have to accept what a function is called on the platform.
func TestPlatformTag(t *testing.T) {
	for name, want := range map[string]string{"hello": "127.0.0.1:7080/hello:latest", "f": "127.0.0.1:7080/functions/f:latest"} {
		got := platformTag("127.0.0.1:7080", name)
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		service := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}
		service.Spec.Template.Spec.Containers = []corev1.Container{{Image: got}}
		service.SetDefaults(t.Context())
		if err := service.Validate(t.Context()).Filter(apis.ErrorLevel); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
