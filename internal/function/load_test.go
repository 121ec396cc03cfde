package function

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func ptr[T any](v T) *T { return &v }

// dedent lets a test hold a file as indented text.
func dedent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n\t\t\t", "\n"), "\n")
}

func parse(t *testing.T, source string) *Function {
	t.Helper()
	f, err := Parse("", []byte(source))
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	return f
}

func messages(problems []Problem) []string {
	var list []string
	for _, p := range problems {
		list = append(list, p.String())
	}
	return list
}

// Every key of the schema, once.
const full = `specVersion: 0.36.0
name: hello
domain: example.com
runtime: go
registry: registry.example/team
registryInsecure: true
image: registry.example/team/hello:v1
imageDigest: sha256:abc
namespace: shop
created: 2026-08-22T10:30:00.123456789+02:00
invoke: cloudevent
deployer: knative
build:
  git:
    url: https://git.example/team/hello
    revision: main
    contextDir: functions/hello
  builder: host
  builderImages:
    pack: registry.example/pack
  baseImage: registry.example/base
  buildpacks:
    - registry.example/buildpack
  buildEnvs:
    - name: CGO_ENABLED
      value: 0
  pvcSize: 256Mi
  remoteStorageClass: fast
  volumes:
    - hostPath: /cache
      path: /root/.cache
run:
  volumes:
    - secret: s
      path: /s
    - configMap: c
      path: /c
    - persistentVolumeClaim:
        claimName: p
        readOnly: true
      path: /p
    - emptyDir:
        medium: Memory
        sizeLimit: 64Mi
      path: /e
  envs:
    - name: PLAIN
      value: no
    - name: HERE
      value: '{{ env:HOME }}'
    - name: TOKEN
      value: "{{ secret:api:token }}"
    - value: "{{configMap:all.settings}}"
  podSecurityContext:
    RunAsUser: 1000
    RunAsGroup: 1000
    RunAsNonRoot: true
    FSGroup: 1000
  startTimeout: 60s
  kafka:
    brokers: broker:9092
    topic: orders
    consumerGroup: hello
deploy:
  namespace: shop
  image: registry.example/team/hello@sha256:abc
  annotations:
    example.com/owner: team
  options:
    scale:
      min: 0
      max: 10
      metric: rps
      target: 12.5
      utilization: 70
    resources:
      requests:
        cpu: 100m
        memory: 64Mi
      limits:
        cpu: 1.10
        memory: 128Mi
        concurrency: 50
  labels:
    - key: example.com/tier
      value: front
    - key: user
      value: '{{ env:USER }}'
  healthEndpoints:
    liveness: /health/liveness
    readiness: /health/readiness
  serviceAccountName: hello
  imagePullSecret: pull
  deployer: knative
  expose: public
  remote: false
  subscriptions:
    - source: default
      filters:
        type: order.created
  managementDisabled: true
`

func TestParseReadsEveryKey(t *testing.T) {
	want := &Function{
		SpecVersion: "0.36.0", Name: "hello", Domain: "example.com", Runtime: "go",
		Registry: "registry.example/team", RegistryInsecure: true, Image: "registry.example/team/hello:v1", ImageDigest: "sha256:abc",
		Namespace: "shop", Created: time.Date(2026, 8, 22, 8, 30, 0, 123456789, time.UTC), Invoke: "cloudevent", Deployer: "knative",
		Build: Build{
			Git:     Git{URL: "https://git.example/team/hello", Revision: "main", ContextDir: "functions/hello"},
			Builder: "host", BuilderImages: map[string]string{"pack": "registry.example/pack"}, BaseImage: "registry.example/base",
			Buildpacks: []string{"registry.example/buildpack"}, BuildEnvs: []Env{{Name: "CGO_ENABLED", Value: EnvValue{Text: "0"}}},
			PVCSize: "256Mi", RemoteStorageClass: "fast", Volumes: []BuildVolume{{HostPath: "/cache", Path: "/root/.cache"}},
		},
		Run: Run{
			Volumes: []Volume{
				{Secret: ptr("s"), Path: "/s"},
				{ConfigMap: ptr("c"), Path: "/c"},
				{PersistentVolumeClaim: &PersistentVolumeClaim{ClaimName: "p", ReadOnly: true}, Path: "/p"},
				{EmptyDir: &EmptyDir{Medium: "Memory", SizeLimit: "64Mi"}, Path: "/e"},
			},
			Envs: []Env{
				{Name: "PLAIN", Value: EnvValue{Text: "no"}},
				{Name: "HERE", Value: EnvValue{Origin: LocalEnv, Name: "HOME"}},
				{Name: "TOKEN", Value: EnvValue{Origin: SecretKey, Name: "api", Key: "token"}},
				{Value: EnvValue{Origin: AllOfConfigMap, Name: "all.settings"}},
			},
			PodSecurityContext: PodSecurityContext{RunAsUser: ptr[int64](1000), RunAsGroup: ptr[int64](1000), RunAsNonRoot: ptr(true), FSGroup: ptr[int64](1000)},
			StartTimeout:       "60s",
			Kafka:              Kafka{Brokers: "broker:9092", Topic: "orders", ConsumerGroup: "hello"},
		},
		Deploy: Deploy{
			Namespace: "shop", Image: "registry.example/team/hello@sha256:abc", Annotations: map[string]string{"example.com/owner": "team"},
			Options: Options{
				Scale:     Scale{Min: ptr[int64](0), Max: ptr[int64](10), Metric: "rps", Target: ptr(12.5), Utilization: ptr(70.0)},
				Resources: Resources{Requests: ResourceRequests{CPU: "100m", Memory: "64Mi"}, Limits: ResourceLimits{CPU: "1.10", Memory: "128Mi", Concurrency: ptr[int64](50)}},
			},
			Labels:          []Label{{Key: "example.com/tier", Value: EnvValue{Text: "front"}}, {Key: "user", Value: EnvValue{Origin: LocalEnv, Name: "USER"}}},
			HealthEndpoints: HealthEndpoints{Liveness: "/health/liveness", Readiness: "/health/readiness"}, ServiceAccountName: "hello", ImagePullSecret: "pull",
			Deployer: "knative", Expose: "public", Subscriptions: []Subscription{{Source: "default", Filters: map[string]string{"type": "order.created"}}}, ManagementDisabled: true,
		},
	}
	got := parse(t, full)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Function{}), cmpopts.EquateApproxTime(0), cmpopts.IgnoreFields(Function{}, "Warnings")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got.Position("run.envs[2].value") != "func.yaml:52:14" {
		t.Errorf("position of a value: %s", got.Position("run.envs[2].value"))
	}
	if got.Position("run.envs[2].missing") != "func.yaml:51:7" {
		t.Errorf("position inside an entry: %s", got.Position("run.envs[2].missing"))
	}
}

// Each mistake is named with its place.
func TestMistakes(t *testing.T) {
	tests := []struct {
		name, source string
		want         []string
	}{
		{"empty", "", []string{"func.yaml:1:1: the file is empty"}},
		{"only a comment", "# nothing\n", []string{"func.yaml:1:1: the file is empty"}},
		{"a list", "- name: hello\n", []string{"func.yaml:1:1: not a mapping of keys to values (a func.yaml begins like: name: hello)"}},
		{"two documents", "name: a\n---\nname: b\n", []string{"func.yaml:3:1: a second YAML document (func.yaml has exactly one)"}},
		{"second document broken", "name: a\n---\nname: [\n", []string{"func.yaml:3:7: not valid YAML: did not find expected node content"}},
		{"tab", "name: a\nrun:\n\tenvs: []\n", []string{"func.yaml:3:1: not valid YAML: found character that cannot start any token (indent with spaces, YAML allows no tabs)"}},
		{"colon in a value", "name: a\nimage: b: c\n", []string{"func.yaml:2:9: not valid YAML: mapping values are not allowed in this context"}},
		{"open quote", "name: a\nimage: \"b\nrun:\n  envs: []\n", []string{"func.yaml:2:8: not valid YAML: found unexpected end of stream"}},
		{"open bracket", "name: a\nrun:\n  envs: [\n    a\nx: y\n", []string{"func.yaml:3:9: not valid YAML: did not find expected ',' or ']'"}},
		{"indentation", "name: a\nrun:\n    envs: []\n  volumes: []\n", []string{"func.yaml:4:3: not valid YAML: did not find expected key"}},
		{"unquoted template with a tail", "name: a\nimage: {{ env:X }}/a\n", []string{"func.yaml:2:19: not valid YAML: did not find expected key (put quotes around a {{ … }} template)"}},
		{"unknown anchor", "name: *nobody\n", []string{"func.yaml:1:7: not valid YAML: unknown anchor 'nobody' referenced"}},
		{"latin-1", "name: a\nimage: caf\xe9\n", []string{"func.yaml:2:11: not UTF-8 text"}},
		{"control character", "name: a\x00\n", []string{"func.yaml:1:8: a control character"}},
		{"utf-16", "\xff\xfen\x00a\x00", []string{"func.yaml:1:1: the file is in UTF-16, and has to be in UTF-8"}},
		{"no name", "runtime: go\n", []string{"func.yaml:1:1: name: is missing (" + NameRule + ")"}},
		{"bad name", "name: Hello_World\n", []string{`func.yaml:1:7: name: "Hello_World" is not a valid name (` + NameRule + "; for example hello-world)"}},
		{"name begins with a digit", "name: 2nd\n", []string{`func.yaml:1:7: name: "2nd" is not a valid name (` + NameRule + "; for example nd)"}},
		{"duplicate key", "name: a\nimage: b\nname: c\n", []string{`func.yaml:3:1: the key "name" is already in line 1`}},
		{"duplicate inside", "name: a\nrun:\n  envs: []\n  envs: []\n", []string{`func.yaml:4:3: run: the key "envs" is already in line 3`}},
		{"list for a value", "name: [a]\n", []string{"func.yaml:1:7: name: is a list, and has to be a single value"}},
		{"value for a block", "name: a\nrun: 3\n", []string{`func.yaml:2:6: run: is the single value "3", and has to be a mapping`}},
		{"mapping for a list", "name: a\nrun:\n  envs:\n    FOO: bar\n", []string{`func.yaml:4:5: run.envs: is a mapping, and has to be a list (write each as "- name: NAME" with "value: VALUE" below it)`}},
		{"unquoted template", "name: a\nrun:\n  envs:\n    - name: X\n      value: {{ env:X }}\n", []string{"func.yaml:5:14: run.envs[0].value: is a mapping, and has to be a single value (put quotes around a template: '{{ env:NAME }}')"}},
		{"text for a number", "name: a\ndeploy: {options: {scale: {min: \"1\", max: lots}}}\n", []string{
			`func.yaml:2:33: deploy.options.scale.min: "1" is not a whole number (remove the quotes)`,
			`func.yaml:2:43: deploy.options.scale.max: "lots" is not a whole number`,
		}},
		{"text for a truth value", "name: a\nregistryInsecure: maybe\n", []string{`func.yaml:2:19: registryInsecure: "maybe" is not a yes or no (use true or false, without quotes)`}},
		{"time", "name: a\ncreated: yesterday\n", []string{`func.yaml:2:10: created: "yesterday" is not a time (write it like 2026-08-22T10:30:00Z)`}},
		{"version", "specVersion: latest\nname: a\n", []string{`func.yaml:1:14: specVersion: "latest" is not a version (the newest that kn-lite knows is 0.36.0)`}},
		{"template never closed", "name: a\nrun: {envs: [{name: X, value: '{{ env:X }'}]}\n", []string{`func.yaml:2:31: run.envs[0].value: template "{{ env:X }" is not closed with }}`}},
		{"several at once, in file order", "namespace: A\nname: B\ninvoke: htttp\n", []string{
			`func.yaml:1:12: namespace: "A" is not a valid namespace (a namespace has 1 to 63 lower-case letters, digits and '-')`,
			`func.yaml:2:7: name: "B" is not a valid name (` + NameRule + "; for example b)",
			`func.yaml:3:9: invoke: "htttp" is not known (did you mean "http"?)`,
		}},
		{"variables", dedent(`
			name: a
			run:
			  envs:
			  - name: A
			  - value: x
			  - name: 1B
			    value: x
			  - name: C
			    value: "{{ secret:s }}"
			  - name: D
			    value: x
			  - name: D
			    value: x
			  - name: PORT
			    value: 80
			build:
			  buildEnvs:
			  - name: E
			    value: "{{ secret:s:k }}"
			`), []string{
			`func.yaml:4:5: run.envs[0]: value is missing (an empty value is written "")`,
			"func.yaml:5:5: run.envs[1]: name is missing (only {{ secret:NAME }} and {{ configMap:NAME }} go without)",
			`func.yaml:6:11: run.envs[2].name: "1B" is not the name of an environment variable (use letters, digits, '_', '-' and '.', and no digit first)`,
			"func.yaml:9:12: run.envs[3].value: {{ secret:s }} is a whole set of keys, and C is one variable (add :KEY for one key, or remove the name for all of them)",
			"func.yaml:12:11: run.envs[5].name: D is there twice (the first is run.envs[4])",
			"func.yaml:14:11: run.envs[6].name: Knative sets PORT itself (choose another name)",
			"func.yaml:19:12: build.buildEnvs[0].value: a build cannot read {{ secret:s:k }} (use plain text or {{ env:NAME }})",
		}},
		{"volumes", dedent(`
			name: a
			run:
			  volumes:
			  - path: /a
			  - secret: s
			    configMap: c
			    path: /b
			  - secret: s
			  - secret: s
			    path: here
			  - emptyDir: {medium: Disk}
			    path: /b/
			  - persistentVolumeClaim: {readOnly: true}
			    path: /c
			`), []string{
			"func.yaml:4:5: run.volumes[0]: has 0 of secret, configMap, persistentVolumeClaim and emptyDir, and needs exactly one",
			"func.yaml:5:5: run.volumes[1]: has 2 of secret, configMap, persistentVolumeClaim and emptyDir, and needs exactly one",
			"func.yaml:8:5: run.volumes[2]: path is missing: where to mount it",
			`func.yaml:10:11: run.volumes[3].path: "here" is not an absolute path (begin it with a slash)`,
			`func.yaml:11:24: run.volumes[4].emptyDir.medium: "Disk" is not known (use Memory)`,
			"func.yaml:12:11: run.volumes[4].path: /b/ is taken by run.volumes[1]",
			"func.yaml:13:28: run.volumes[5].persistentVolumeClaim: claimName is missing",
		}},
		{"options", dedent(`
			name: a
			deploy:
			  annotations: {"bad key": x}
			  labels:
			  - key: a b
			    value: "{{ secret:s:k }}"
			  options:
			    scale: {min: 5, max: 2, metric: cpu, target: 0, utilization: 101}
			    resources:
			      limits: {cpu: fast, memory: -1Gi, concurrency: -1}
			  healthEndpoints: {liveness: health}
			  subscriptions: [{filters: {a: b}}]
			`), []string{
			`func.yaml:3:28: deploy.annotations.bad key: "bad key" is not the key of an annotation (letters, digits, '-', '_' and '.', at most 63, after an optional DOMAIN/)`,
			`func.yaml:5:10: deploy.labels[0].key: "a b" is not the key of a label (letters, digits, '-', '_' and '.', at most 63, after an optional DOMAIN/)`,
			"func.yaml:6:12: deploy.labels[0].value: a label cannot be {{ secret:s:k }} (use plain text or {{ env:NAME }})",
			"func.yaml:8:18: deploy.options.scale.min: is 5, above max, which is 2",
			`func.yaml:8:37: deploy.options.scale.metric: "cpu" is not known (use concurrency or rps)`,
			"func.yaml:8:50: deploy.options.scale.target: is 0, and has to be at least 0.01",
			"func.yaml:8:66: deploy.options.scale.utilization: is 101, and has to be a percentage from 1 to 100",
			`func.yaml:10:21: deploy.options.resources.limits.cpu: "fast" is not a quantity (write it like 500m, 1.5 or 128Mi)`,
			`func.yaml:10:35: deploy.options.resources.limits.memory: "-1Gi" is not a quantity (write it like 500m, 1.5 or 128Mi)`,
			"func.yaml:10:54: deploy.options.resources.limits.concurrency: -1 requests at a time cannot be (0 means no bound)",
			`func.yaml:11:31: deploy.healthEndpoints.liveness: "health" is not a path (begin it with a slash)`,
			"func.yaml:12:19: deploy.subscriptions[0].source: is missing: it names the broker",
		}},
		{"image with a scheme", "name: a\nimage: https://registry.example/a\n", []string{`func.yaml:2:8: image: "https://registry.example/a" is not an image name (write it like registry.example/team/hello, with no scheme and no spaces)`}},
		{"merge of a value", "x: &x 1\nname: a\n<<: *x\n", []string{`func.yaml:3:5: << takes a mapping or a list of mappings, not the single value "1"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			problems := (&Function{}).check([]byte(tt.source))
			if diff := cmp.Diff(tt.want, messages(problems)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if _, err := Parse("", []byte(tt.source)); fault.KindOf(err) != fault.Usage {
				t.Errorf("Parse: %v", err)
			}
		})
	}
}

// Oddities are told and do not stop anything.
func TestWarnings(t *testing.T) {
	tests := []struct {
		name, source string
		want         []string
		typo         bool
	}{
		{"none", "name: a\n", nil, false},
		{"typo", "name: a\nrun:\n  envs:\n  - name: A\n    value: x\n    vaule: y\n", []string{`func.yaml:6:5: run.envs[0]: unknown key "vaule" (did you mean "value"?)`}, true},
		{"wrong case", "name: a\nbuild:\n  buildenvs: []\n", []string{`func.yaml:3:3: build: unknown key "buildenvs" (did you mean "buildEnvs"?)`}, true},
		{"somebody else's key", "name: a\nx-team: b\n", []string{`func.yaml:2:1: unknown key "x-team"`}, false},
		{"old place", "specVersion: 0.35.0\nname: a\nenvs: []\n", []string{`func.yaml:3:1: unknown key "envs" has no effect (it is run.envs since func's 0.34)`}, true},
		{"runtime", "name: a\nruntime: nod\n", []string{`func.yaml:2:10: runtime: "nod" is not a runtime that kn-lite or func have (did you mean "node"?)`}, true},
		{"somebody else's runtime", "name: a\nruntime: cobol\n", nil, false},
		{"deployer", "name: a\ndeploy: {deployer: keda}\n", []string{`func.yaml:2:20: deploy.deployer: kn-lite deploys Knative services, whatever the deployer "keda" would make`}, false},
		{"empty second document", "name: a\n---\n", nil, false},
		{"no value", "name: a\nimage:\n", []string{"func.yaml:2:7: image: has no value and counts as absent (give it a value or remove the line)"}, false},
		{"settings without effect", "name: a\nbuild: {buildpacks: [b], pvcSize: 1Gi}\nrun: {kafka: {topic: t}}\ndeploy: {expose: gateway, remote: true}\n", []string{
			"func.yaml:2:21: build.buildpacks: has no effect in kn-lite (no buildpack takes part in a build)",
			"func.yaml:2:35: build.pvcSize: has no effect in kn-lite (a build in the cluster needs no claim)",
			"func.yaml:3:14: run.kafka: has no effect in kn-lite (create a KafkaSource that sends to the service)",
			`func.yaml:4:18: deploy.expose: "gateway" has no effect in kn-lite (it knows cluster and public)`,
			"func.yaml:4:35: deploy.remote: has no effect in kn-lite (use the builder cluster)",
		}, false},
		{"settings without effect, where they stood before", "name: a\nbuildpacks: [b]\n", []string{
			"func.yaml:2:13: buildpacks: has no effect in kn-lite (no buildpack takes part in a build)",
		}, false},
		{"emptied block", "name: a\nrun:\n  envs:\n  #- name: X\n", nil, false},
		{"from the future", "specVersion: 0.99.0\nname: a\nimages: b\n", []string{
			"func.yaml:1:14: specVersion: 0.99.0 is newer than what kn-lite knows: settings that came since have no effect",
			`func.yaml:3:1: unknown key "images" (did you mean "image"?)`,
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.source)
			if diff := cmp.Diff(tt.want, messages(f.Warnings)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			typo := false
			for _, w := range f.Warnings {
				typo = typo || w.Typo
			}
			if typo != tt.typo {
				t.Errorf("typo = %v", typo)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(dir)
	if fault.KindOf(err) != fault.NotFound || fault.HintOf(err) == "" {
		t.Errorf("missing: %v", err)
	}
	file := filepath.Join(dir, File)
	if err := os.WriteFile(file, []byte("name: hello\nruntime: go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(dir)
	if err != nil || f.Name != "hello" || f.Root != dir {
		t.Errorf("got %+v, %v", f, err)
	}
	if err := os.WriteFile(file, []byte("name: 'Hello'\nrun: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(dir)
	if want := file + ":1:7: name: \"Hello\" is not a valid name (" + NameRule + "; for example hello)\n" + file + ":2:6: run: is a list, and has to be a mapping"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	// A typo explains what is missing.
	_, err = Parse("", []byte("runtime: go\nnmae: hello\n"))
	if want := "func.yaml:1:1: name: is missing (" + NameRule + ")\nfunc.yaml:2:1: unknown key \"nmae\" (did you mean \"name\"?)"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err = Load(dir); fault.KindOf(err) != fault.Usage {
		t.Errorf("a folder: %v", err)
	}
}

// A slip is a mistake, any other unknown key only if the check is strict.
func TestValidate(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, File), []byte("x-mine: 1\nname: Not/One\nruntme: go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for strict, want := range map[bool][2]int{false: {2, 1}, true: {3, 0}} {
		_, problems, warnings, err := Validate(dir, strict)
		if err != nil || len(problems) != want[0] || len(warnings) != want[1] || !slices.IsSortedFunc(problems, ByPlace) {
			t.Errorf("strict %t: %v, %v, %v", strict, problems, warnings, err)
		}
	}
	if _, _, _, err := Validate(t.TempDir(), false); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no file: %v", err)
	}
}
