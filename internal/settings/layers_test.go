package settings

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestExplain(t *testing.T) {
	file := writeSettings(t, `# mine
registry: user:secret@file.example/team
namespace: from-file
insecureRegistries: [a:1]
baseImages: {node: file/node}
mirrors:
  docker.io: [m.example]
requireSigned: yes please
`)
	vars := map[string]string{"KN_LITE_CONFIG": file, "KN_LITE_NAMESPACE": "own", "FUNC_NAMESPACE": "funcs", "KN_LITE_SIGN_PASSWORD": "hush", "KN_LITE_REQUIRE_SIGNED": "1"}
	sources := env(vars)
	sources.Flags = map[string]Given{"namespace": {"flag", "--namespace"}, "ingress": {"", "--ingress"}}
	sources.Project = map[string]Given{"namespace": {"project", "func.yaml:3:12"}, "baseImages.node": {"project/node", "func.yaml:9:14"}}
	sources.Kubeconfig = map[string]Given{"namespace": {"context", "context c"}}
	if _, err := Load(sources); fault.KindOf(err) != fault.Usage {
		t.Fatalf("a policy that is neither true nor false: %v", err)
	}
	file = writeSettings(t, "# mine\nregistry: user:secret@file.example/team\nnamespace: from-file\nbaseImages: {node: file/node}\nmirrors:\n  docker.io: [m.example]\n")
	vars["KN_LITE_CONFIG"] = file
	s, err := Load(sources)
	if err != nil {
		t.Fatal(err)
	}
	explained := func(key string) []Setting {
		got, err := s.Explain(key)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	at := func(place string) Source { return Source{FromFile, file + place} }
	for key, want := range map[string][]Setting{
		"registry": {{Key: "registry", Value: "user:***@file.example/team", Source: at(":2:11")}},
		"namespace": {{Key: "namespace", Value: "flag", Source: Source{FromFlag, "--namespace"}, Overrules: []Alternative{
			{"own", Source{FromVariable, "KN_LITE_NAMESPACE"}},
			{"funcs", Source{FromVariable, "FUNC_NAMESPACE"}},
			{"project", Source{FromProject, "func.yaml:3:12"}},
			{"from-file", at(":3:12")},
			{"context", Source{FromKubeconfig, "context c"}},
		}}},
		"ingress":               {{Key: "ingress", Source: Source{Kind: FromDefault}}},
		"baseImages.typescript": {{Key: "baseImages.typescript", Value: "file/node", Source: at(":4:20")}},
		"baseImages.node":       {{Key: "baseImages.node", Value: "project/node", Source: Source{FromProject, "func.yaml:9:14"}, Overrules: []Alternative{{"file/node", at(":4:20")}}}},
		"mirrors":               {{Key: "mirrors.docker.io", Value: []string{"m.example"}, Source: at(":6:14")}},
		"mirrors.quay.io":       {{Key: "mirrors.quay.io", Source: Source{Kind: FromDefault}}},
		"signPassword":          {{Key: "signPassword", Value: "***", Source: Source{FromVariable, "KN_LITE_SIGN_PASSWORD"}}},
		"requireSigned":         {{Key: "requireSigned", Value: true, Source: Source{FromVariable, "KN_LITE_REQUIRE_SIGNED"}, Overrules: []Alternative{{false, Source{Kind: FromDefault}}}}},
	} {
		if diff := cmp.Diff(want, explained(key)); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	if got := s.Namespace; got != "flag" || !s.RequireSigned {
		t.Errorf("namespace %q, signed %v", got, s.RequireSigned)
	}
	if len(explained("baseImages")) != len(Languages()) || len(s.All()) != len(Keys()) {
		t.Errorf("there are %d base images and %d settings", len(explained("baseImages")), len(s.All()))
	}
	if _, err := s.Explain("mirror"); fault.KindOf(err) != fault.Usage || fault.HintOf(err) != `did you mean "mirrors"?` {
		t.Errorf("got %v, %q", err, fault.HintOf(err))
	}
}

// What is explained is what commands get: each source alone, and each over all weaker
// ones, for a value, a list and a name below a setting.
func TestExplainedIsWhatCounts(t *testing.T) {
	for strongest := range 4 {
		file := "registryCA: unrelated\n"
		vars := map[string]string{}
		sources := env(vars)
		value := func(layer int, key string) string { return fmt.Sprintf("%s-%d", key, layer) }
		for layer := 3; layer >= strongest; layer-- {
			switch layer {
			case 3:
				file += "namespace: namespace-3\ninsecureRegistries: [insecure-3]\nbaseImages: {go: base-3}\n"
			case 2:
				sources.Project = map[string]Given{"namespace": {Value: value(2, "namespace")}, "baseImages.go": {Value: value(2, "base")}, "insecureRegistries": {Value: value(2, "insecure")}}
			case 1:
				vars["KN_LITE_NAMESPACE"], vars["KN_LITE_BASE_IMAGE_GO"], vars["KN_LITE_INSECURE_REGISTRIES"] = value(1, "namespace"), value(1, "base"), value(1, "insecure")
			case 0:
				sources.Flags = map[string]Given{"namespace": {Value: value(0, "namespace")}, "baseImages.go": {Value: value(0, "base")}, "insecureRegistries": {Value: value(0, "insecure")}}
			}
		}
		vars["KN_LITE_CONFIG"] = writeSettings(t, file)
		s, err := Load(sources)
		if err != nil {
			t.Fatal(err)
		}
		kind := []Kind{FromFlag, FromVariable, FromProject, FromFile}[strongest]
		for key, counts := range map[string]any{"namespace": s.Namespace, "insecureRegistries": s.InsecureRegistries, "baseImages.go": s.BaseImage("go", "")} {
			got, err := s.Explain(key)
			if err != nil || len(got) != 1 || got[0].Source.Kind != kind || len(got[0].Overrules) != 3-strongest {
				t.Fatalf("%s: %+v, %v", key, got, err)
			}
			if diff := cmp.Diff(counts, got[0].Value); diff != "" {
				t.Errorf("%s from %s: %s", key, kind, diff)
			}
		}
	}
}

func TestHidePassword(t *testing.T) {
	for text, want := range map[string]string{
		"https://u:p@r.example/x": "https://u:***@r.example/x", "u:p@r.example": "u:***@r.example", "r.example:5000/x": "r.example:5000/x",
		"node:22-slim@sha256:00": "node:22-slim@sha256:00", "r.example/x@sha256:00": "r.example/x@sha256:00", "r.example:5000/x:v1@sha256:00": "r.example:5000/x:v1@sha256:00", "": "",
	} {
		if got := hidePassword(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestTexts(t *testing.T) {
	for source, want := range map[Source]string{
		{Kind: FromDefault}:                           "default",
		{Kind: FromFlag, Name: "--registry"}:          "flag --registry",
		{Kind: FromProject, Name: "func.yaml:3:1"}:    "func.yaml:3:1",
		{Kind: FromFile, Name: "/c/config.yaml:1:1"}:  "/c/config.yaml:1:1",
		{Kind: FromVariable, Name: "KN_LITE_BUILDER"}: "variable KN_LITE_BUILDER",
	} {
		if got := source.String(); got != want {
			t.Errorf("%+v: %q, want %q", source, got, want)
		}
	}
	for want, value := range map[string]any{"": nil, "a, b": []string{"a", "b"}, "true": true, "x": "x"} {
		if got := (Setting{Value: value}).Text(); got != want {
			t.Errorf("%v: %q, want %q", value, got, want)
		}
		if got := (Alternative{Value: value}).Text(); got != want {
			t.Errorf("%v overruled: %q, want %q", value, got, want)
		}
	}
}
