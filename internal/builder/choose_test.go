package builder_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/builder/cluster"
	"github.com/kn-lite/kn-lite/internal/builder/dockerfile"
	"github.com/kn-lite/kn-lite/internal/builder/layers"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

func builtIn() *builder.Set {
	host := &builder.Host{}
	return &builder.Set{Builders: []builder.Builder{layers.New(host), dockerfile.New(host), cluster.New(host)}}
}

func TestChoose(t *testing.T) {
	empty, withDockerfile := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(withDockerfile, "Dockerfile"), []byte("FROM scratch\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	project := func(runtime string) *function.Function { return &function.Function{Runtime: runtime} }
	for _, test := range []struct {
		name    string
		chosen  string
		request builder.Request
		want    string
	}{
		{"nothing known", "", builder.Request{Dir: empty}, "layers"},
		{"a Dockerfile alone", "auto", builder.Request{Dir: withDockerfile}, "dockerfile"},
		{"a Dockerfile beside a known language", "auto", builder.Request{Dir: withDockerfile, Project: project("go")}, "layers"},
		{"a Dockerfile beside an unknown language", "auto", builder.Request{Dir: withDockerfile, Project: project("cobol")}, "dockerfile"},
		{"func.yaml asks for a Dockerfile", "auto", builder.Request{Dir: empty, Project: project("dockerfile")}, "dockerfile"},
		{"a Dockerfile is named", "auto", builder.Request{Dir: empty, Project: project("go"), Dockerfile: builder.DockerfileOptions{File: "x"}}, "dockerfile"},
		{"by name", "layers", builder.Request{Dir: withDockerfile}, "layers"},
		{"by name", "dockerfile", builder.Request{Dir: empty, Project: project("go")}, "dockerfile"},
		{"by name", "cluster", builder.Request{Dir: empty}, "cluster"},
	} {
		got, err := builtIn().Choose(test.chosen, test.request)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got.Name() != test.want {
			t.Errorf("%s: chose %s, want %s", test.name, got.Name(), test.want)
		}
	}
}

func TestChooseUnknown(t *testing.T) {
	for name, hint := range map[string]string{"dockerfil": `did you mean "dockerfile"?`, "xyzzy": "use auto, layers, dockerfile or cluster"} {
		_, err := builtIn().Choose(name, builder.Request{})
		if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), name) || fault.HintOf(err) != hint {
			t.Errorf("%s: %v (%s), want a usage error with the hint %q", name, err, fault.HintOf(err), hint)
		}
	}
}

// foreign is a builder that somebody else has written.
type foreign struct{ builder.Builder }

func (foreign) Name() string { return "nix" }

func TestChooseFound(t *testing.T) {
	set := builtIn()
	set.List = func() []string { return []string{"nix", "layers"} }
	set.Find = func(name string) (builder.Builder, error) {
		switch name {
		case "nix":
			return foreign{}, nil
		case "broken":
			return nil, errors.New("no program")
		}
		return nil, nil
	}
	if got, err := set.Choose("nix", builder.Request{}); err != nil || got.Name() != "nix" {
		t.Errorf("nix: %v, %v", got, err)
	}
	if _, err := set.Choose("broken", builder.Request{}); err == nil || err.Error() != "no program" {
		t.Errorf("broken: %v, want what Find says", err)
	}
	if _, err := set.Choose("nox", builder.Request{}); fault.HintOf(err) != `did you mean "nix"?` {
		t.Errorf("nox: %v (%s)", err, fault.HintOf(err))
	}
	if got := strings.Join(set.Names(), " "); got != "auto layers dockerfile cluster nix" {
		t.Errorf("names: %s", got)
	}
}

func TestOptionsOfOtherBuilders(t *testing.T) {
	for _, test := range []struct {
		name    string
		request builder.Request
		subject string // "" is accepted
	}{
		{"layers", builder.Request{}, ""},
		{"layers", builder.Request{Dockerfile: builder.DockerfileOptions{Target: "x"}}, "Dockerfile.Target"},
		{"layers", builder.Request{Dockerfile: builder.DockerfileOptions{Offline: true}}, "Dockerfile.Offline"},
		{"layers", builder.Request{Pod: builder.PodOptions{Image: "x"}}, "Pod.Image"},
		{"dockerfile", builder.Request{Dockerfile: builder.DockerfileOptions{Target: "x"}}, ""},
		{"dockerfile", builder.Request{Pod: builder.PodOptions{Resources: map[string]string{"cpu": "1"}}}, "Pod.Resources"},
		{"dockerfile", builder.Request{Namespace: "of the function"}, ""},
		{"cluster", builder.Request{Pod: builder.PodOptions{Namespace: "x"}, Dockerfile: builder.DockerfileOptions{File: "x"}}, ""},
		{"cluster", builder.Request{AllowMissingCommand: true}, "AllowMissingCommand"},
	} {
		b, err := builtIn().Choose(test.name, test.request)
		if err != nil {
			t.Fatal(err)
		}
		err = b.Check(test.request)
		e, ok := errors.AsType[*fault.Error](err)
		switch {
		case test.subject == "" && err != nil:
			t.Errorf("%s, %+v: %v", test.name, test.request, err)
		case test.subject != "" && (!ok || e.Op != builder.OptionOp || e.Kind != fault.Usage || e.Subject != test.subject):
			t.Errorf("%s, %+v: %v, want a usage error about %s", test.name, test.request, err, test.subject)
		}
	}
}

// TestAbilities holds what callers ask for by type.
func TestAbilities(t *testing.T) {
	for _, name := range []string{"layers", "dockerfile", "cluster"} {
		b, err := builtIn().Choose(name, builder.Request{})
		if err != nil {
			t.Fatal(err)
		}
		_, explains := b.(builder.Explainer)
		_, verifies := b.(builder.Verifier)
		_, pushes := b.(builder.Pusher)
		if explains != (name == "layers") || verifies != (name == "layers") || pushes != (name == "cluster") {
			t.Errorf("%s: explains %t, verifies %t, pushes %t", name, explains, verifies, pushes)
		}
	}
}

// TestNoCacheFolder is for a machine without a home.
func TestNoCacheFolder(t *testing.T) {
	host := builder.Host{}
	if _, err := host.Spec(builder.Request{Dir: t.TempDir()}); fault.KindOf(err) != fault.Usage {
		t.Errorf("%v, want a usage error", err)
	}
}
