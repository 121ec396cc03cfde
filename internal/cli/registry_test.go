package cli

import (
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/term"
)

func TestImageTag(t *testing.T) {
	project := func(image, prefix string) *function.Function {
		return &function.Function{Name: "hello", Image: image, Registry: prefix}
	}
	tests := []struct {
		name, flag string
		project    *function.Function
		setting    string
		want       string // "" is a usage error
	}{
		{"flag beats all", "reg.example/flag:v1", project("reg.example/image", "reg.example/prefix"), "reg.example/setting", "reg.example/flag:v1"},
		{"func.yaml's image", "", project("reg.example/image", "reg.example/prefix"), "reg.example/setting", "reg.example/image"},
		{"the variable beats func.yaml's registry", "", project("", "reg.example/prefix/"), "reg.example/setting/", "reg.example/setting/hello:latest"},
		{"func.yaml's registry", "", project("", "reg.example/prefix/"), "", "reg.example/prefix/hello:latest"},
		{"the settings' registry", "", project("", ""), "reg.example/setting", "reg.example/setting/hello:latest"},
		{"none", "", project("", ""), "", ""},
		{"no project", "", nil, "reg.example/setting", ""},
		{"no project, flag", "reg.example/flag", nil, "", "reg.example/flag"},
		{"a broken name", "reg.example/Flag", nil, "", ""},
	}
	for _, tt := range tests {
		streams, _, _ := term.Test()
		f := newFactory(&System{IO: streams, Env: func(name string) string {
			if name == "KN_LITE_REGISTRY" {
				return tt.setting
			}
			return ""
		}})
		got, err := f.imageTag(tt.flag, tt.project)
		if tt.want == "" {
			if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" {
				t.Errorf("%s: got %q, %v", tt.name, got, err)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v", tt.name, got, err)
		}
	}
}
