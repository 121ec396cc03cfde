//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// refusal is a command that must change nothing, and its exit code.
type refusal struct {
	code int
	yaml string // what func.yaml says besides
	args []string
}

// refusals are the mistakes that can be known before the first write.
func refusals(image string) []refusal {
	deploy := func(code int, args ...string) refusal {
		return refusal{code: code, args: append([]string{"deploy", "-s", "fn", "--image", image, "--env", "ANSWER=two"}, args...)}
	}
	project := func(code int, yaml string) refusal {
		r := deploy(code)
		r.yaml = yaml
		return r
	}
	run := func(code int, args ...string) refusal { return refusal{code: code, args: args} }
	long := strings.Repeat("x", 62)
	return []refusal{
		deploy(2, "--env", "1A=x"), deploy(2, "--env", "=x"), deploy(2, "--env", "A B=x"), deploy(2, "--env", "NOTHING"), deploy(2, "--env", ""),
		deploy(2, "--scale-min", "-1"), deploy(2, "--scale-min", "3", "--scale-max", "2"), deploy(2, "--scale-max", "many"), deploy(2, "--scale-window", "1s"),
		deploy(2, "--scale-window", "2h"), deploy(2, "--scale-target", "0"), deploy(2, "--scale-target", "-3"), deploy(2, "--concurrency-limit", "-1"), deploy(2, "--concurrency-limit", "x"),
		deploy(2, "--port", "0"), deploy(2, "--port", "70000"), deploy(2, "--port", "8012"), deploy(2, "--port", "9090"), deploy(2, "--port", "http"),
		deploy(2, "--traffic", "0"), deploy(2, "--traffic", "101"), deploy(2, "--traffic", "+5"), deploy(2, "--traffic", "half"), deploy(2, "--traffic", ""), deploy(2, "--traffic", "10", "--no-traffic"),
		deploy(2, "--tag", "Next"), deploy(2, "--tag", "next_1"), deploy(2, "--tag", "1st"), deploy(2, "--tag", long), deploy(2, "--tag", ""), deploy(2, "--tag", "-a"),
		deploy(2, "--revision", "Blue"), deploy(2, "--revision", "a.b"), deploy(2, "--revision", long), deploy(2, "--revision", ""), deploy(6, "--revision", "v1"),
		deploy(2, "--dry-run", "maybe"), deploy(2, "--timeout", "soon"), deploy(2, "--timeout", "-1s"), deploy(2, "--platform", "linux/amd64"), deploy(2, "--no-such-flag"), deploy(2, "-o", "xml"),
		deploy(2, "one", "two"), deploy(2, "--color", "blue"), deploy(2, "--service", "Fn"), deploy(2, "--image", ""), deploy(2, "--image", "Not a reference"),
		deploy(5, "--image", image[:strings.Index(image, "@")]+":no-such-tag"), deploy(75, "--image", "no-such-registry.invalid/a/b:c"), deploy(5, "-n", "no-such-namespace"),
		deploy(2, "--context", "no-such-context"), deploy(5, "--kubeconfig", "no-such-file"),

		project(5, "run:\n  envs:\n  - name: P\n    value: '{{ secret:no-such:password }}'\n"),
		project(5, "run:\n  envs:\n  - value: '{{ secret:no-such }}'\n"),
		project(5, "run:\n  envs:\n  - name: P\n    value: '{{ configMap:no-such:password }}'\n"),
		project(5, "run:\n  envs:\n  - value: '{{ configMap:no-such }}'\n"),
		project(5, "run:\n  volumes:\n  - secret: no-such\n    path: /etc/secret\n"),
		project(5, "run:\n  volumes:\n  - configMap: no-such\n    path: /etc/settings\n"),
		project(5, "run:\n  volumes:\n  - presistentVolumeClaim: {claimName: no-such}\n    path: /data\n"),
		project(5, "deploy:\n  serviceAccountName: no-such\n"),
		project(2, "run:\n  envs:\n  - name: 1A\n    value: x\n"),
		project(2, "run:\n  volumes:\n  - secret: no-such\n    path: relative\n"),
		project(2, "deploy:\n  options:\n    resources:\n      limits: {memory: lots}\n"),
		project(2, "deploy:\n  options:\n    scale: {min: 4, max: 2}\n"),
		project(2, "deploy:\n  options:\n    scale: {metric: luck}\n"),
		project(2, "deploy:\n  annotations: {autoscaling.knative.dev/window: never}\n"),
		project(2, "deploy:\n  annotations: {'not a key': x}\n"),
		project(2, "deploy:\n  labels:\n  - key: 'not a key'\n    value: x\n"),
		project(2, "deploy:\n  labels:\n  - key: a\n    value: 'not a label'\n"),

		run(2, "traffic", "split", "-s", "fn"), run(2, "traffic", "split", "-s", "fn", "v1=99"), run(2, "traffic", "split", "-s", "fn", "v1=101"),
		run(2, "traffic", "split", "-s", "fn", "v1="), run(2, "traffic", "split", "-s", "fn", "=100"), run(2, "traffic", "split", "-s", "fn", "v1=+100"), run(2, "traffic", "split", "-s", "", "v1=100"),
		run(5, "traffic", "split", "-s", "fn", "v9=100"), run(5, "traffic", "split", "-s", "fn", "tag:none=100"), run(5, "traffic", "split", "-s", "fn", "git:abcdef=100"),
		run(5, "traffic", "split", "-s", "nobody", "v1=100"), run(6, "traffic", "split", "-s", "fn", "v1=100", "--if-generation", "99"), run(2, "traffic", "split", "-s", "fn", "v1=100", "--if-generation", "0"),
		run(2, "traffic", "untag", "-s", "fn"), run(5, "traffic", "untag", "-s", "fn", "none"), run(2, "traffic", "untag", "-s", "fn", ""), run(5, "traffic", "untag", "-s", "nobody", "one"),
		run(2, "delete"), run(2, "delete", ""), run(5, "delete", "nobody"), run(2, "delete", "fn", "--no-such-flag"), run(5, "deploy", "--abort", "-s", "fn"),
	}
}

// TestNothingWritten: whatever is wrong with a command is found before anything
// is written.
func TestNothingWritten(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	image := s.brokenImage("amd64")
	s.knLite(0, "deploy", "-s", "fn", "--image", image, "--env", "MODE=ok", "--tag", "one")
	// The autoscaler writes into the status of revisions at any time: of them all else counts.
	kinds := "ksvc,configuration.serving.knative.dev,route.serving.knative.dev,secret,configmap"
	if s.Platform != "local" { // which has no jobs
		kinds += ",job"
	}
	state := func() string {
		return s.kubectl("-n", s.Namespace, "get", kinds,
			"-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion} {.metadata.generation}{"\n"}{end}`) +
			s.kubectl("-n", s.Namespace, "get", "revision",
				"-o", `jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.metadata.labels} {.metadata.annotations} {.spec}{"\n"}{end}`)
	}
	var before string
	s.eventually(20*time.Second, "nothing changes any more", func() string {
		was := before
		if before = state(); was == before {
			return ""
		}
		return before
	})
	var tried []string
	unchanged := func() {
		if now := state(); now != before {
			t.Fatalf("one of these has written:\n%s\n%s\nbefore\n%s", strings.Join(tried, "\n"), now, before)
		}
		tried = nil
	}
	try := func(r refusal) {
		write(t, filepath.Join(s.Dir, "func.yaml"), "specVersion: 0.36.0\nname: fn\nruntime: go\ncreated: 2026-01-01T00:00:00Z\n"+r.yaml)
		got := s.runWith(s.knLiteEnv, s.program(t, "kn-lite"), append([]string{"-n", s.Namespace}, r.args...)...)
		said := strings.Join(r.args, " ") + "\n" + r.yaml
		if got.Code != r.code || !strings.Contains(got.Stderr, "error: ") {
			t.Errorf("%s: exit %d, want %d\n%s", said, got.Code, r.code, got.Stderr)
		}
		if tried = append(tried, said); len(tried) == 10 {
			unchanged()
		}
	}
	for _, r := range refusals(image) {
		try(r)
	}
	unchanged()
	if s.Platform == "local" {
		return // it has one user, who may do everything
	}
	// A user who may look and not write.
	s.asNobody()
	s.kubectl("-n", s.Namespace, "create", "rolebinding", "looks", "--clusterrole=view", "--serviceaccount="+s.Namespace+":nobody")
	s.kubectl("-n", s.Namespace, "create", "role", "looks", "--verb=get,list,watch", "--resource=services.serving.knative.dev,revisions.serving.knative.dev")
	s.kubectl("-n", s.Namespace, "create", "rolebinding", "looks-too", "--role=looks", "--serviceaccount="+s.Namespace+":nobody")
	before = state()
	for _, args := range [][]string{
		{"deploy", "-s", "fn", "--image", image, "--env", "ANSWER=two"},
		{"deploy", "-s", "other", "--image", image},
		{"deploy", "-s", "fn", "--image", image, "--env", "ANSWER=two", "--no-wait"},
		{"traffic", "split", "-s", "fn", "v1=100"},
		{"traffic", "untag", "-s", "fn", "one"},
		{"delete", "fn"},
	} {
		try(refusal{code: 4, args: args})
	}
	unchanged()
}
