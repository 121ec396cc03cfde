package function

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// One project, written by each generation of func, is the same function.
func TestOlderAndNewerLayouts(t *testing.T) {
	tests := []struct{ name, source string }{
		{"before versions", dedent(`
			name: hello
			namespace: shop
			runtime: node
			builder: docker.io/paketo/builder:base
			builders:
			  base: docker.io/paketo/builder:base
			buildpacks: [a]
			envs:
			- name: A
			  value: x
			annotations: {k: v}
			labels:
			- key: l
			  value: m
			healthEndpoints: {liveness: /live}
			options:
			  scale: {min: 1, target: 5}
			`)},
		{"0.25", dedent(`
			specVersion: 0.25.0
			name: hello
			namespace: shop
			runtime: node
			build: local
			git: {}
			buildpacks: [a]
			envs:
			- name: A
			  value: x
			annotations: {k: v}
			labels:
			- key: l
			  value: m
			healthEndpoints: {liveness: /live}
			options:
			  scale: {min: 1, target: 5}
			invocation: {format: http}
			`)},
		{"0.34", dedent(`
			specVersion: 0.34.0
			name: hello
			namespace: shop
			runtime: node
			build:
			  buildpacks: [a]
			run:
			  envs:
			  - name: A
			    value: x
			deploy:
			  annotations: {k: v}
			  labels:
			  - key: l
			    value: m
			  healthEndpoints: {liveness: /live}
			  options:
			    scale: {min: 1, target: 5}
			invocation: {format: http}
			`)},
		{"0.38", dedent(`
			specVersion: 0.38.0
			name: hello
			namespace: shop
			runtime: node
			build:
			  buildpacks: [a]
			run:
			  envs:
			  - name: A
			    value: x
			deploy:
			  annotations: {k: v}
			  labels:
			  - key: l
			    value: m
			  healthEndpoints: {liveness: /live}
			scale: {min: 1, kpa: {target: 5}}
			`)},
	}
	want := &Function{
		Name: "hello", Namespace: "shop", Runtime: "node",
		Build: Build{Buildpacks: []string{"a"}},
		Run:   Run{Envs: []Env{{Name: "A", Value: EnvValue{Text: "x"}}}},
		Deploy: Deploy{
			Annotations: map[string]string{"k": "v"}, Labels: []Label{{Key: "l", Value: EnvValue{Text: "m"}}}, HealthEndpoints: HealthEndpoints{Liveness: "/live"},
			Options: Options{Scale: Scale{Min: ptr[int64](1), Target: ptr(5.0)}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := parse(t, tt.source)
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Function{}), cmpopts.IgnoreFields(Function{}, "SpecVersion", "Warnings")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// In an old layout a mistake is named where it stands.
func TestMistakeInAnOldLayout(t *testing.T) {
	_, err := Parse("", []byte("name: a\nenvs:\n- name: A\n"))
	if want := `func.yaml:3:3: envs[0]: value is missing (an empty value is written "")`; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	f := parse(t, "specVersion: 0.35.0\nname: a\nbuild:\n  git:\n    url: u\nrun:\n  volumes:\n  - presistentVolumeClaim:\n      claimName: c\n    path: /c\n")
	if f.Build.Git.URL != "u" || f.Run.Volumes[0].PersistentVolumeClaim.ClaimName != "c" {
		t.Errorf("got %+v", f)
	}
	f = parse(t, "specVersion: 0.37.0\nname: a\nbuild:\n  source:\n    url: u\n    dir: d\n")
	if diff := cmp.Diff(Git{URL: "u", ContextDir: "d"}, f.Build.Git); diff != "" {
		t.Error(diff)
	}
}
