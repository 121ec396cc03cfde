package cli

import (
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/term"
)

func TestTransferProgressOffATerminal(t *testing.T) {
	streams, _, err := term.Test()
	p := &transferProgress{io: streams}
	move := func(kind string, size, moved int64, end registry.Outcome) {
		transfer := p.Begin(registry.Blob{Kind: kind, Digest: "0123456789ab", Size: size})
		transfer.Add(moved)
		transfer.Done(end)
	}
	move("layer", 5_000_000, 5_000_000, registry.Pushed)
	move("layer", 9_000_000, 0, registry.Skipped)
	move("layer", 7_000_000, 0, registry.Mounted)
	move("layer", 400, 400, registry.Pushed) // too small for a line
	move("config", 600, 600, registry.Pushed)
	got := err.String()
	if strings.Count(got, "\n") != 2 || !strings.HasPrefix(got, "• pushing layer 0123456789ab (5.0 MB) …\n✓ pushed layer 0123456789ab (5.0 MB) (") {
		t.Errorf("got %q", got)
	}
	if got := p.summary(); got != "4 layers, 1 mounted, 2 new (5.0 MB sent)" {
		t.Errorf("summary %q", got)
	}
	p.reset()
	move("layer", 9_000_000, 0, registry.Skipped)
	if got := p.summary(); got != "1 layer, all there already" {
		t.Errorf("summary %q", got)
	}
}

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
