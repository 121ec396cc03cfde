//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/test/broken"
)

// TestNoNamespace and TestForbidden: what cannot work is said before anything
// is built, with the right that is missing.
func TestNoNamespace(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.Namespace += "-none"
	r := s.knLite(5, "deploy", "-s", "fn", "--image", s.HelloWorld)
	if !strings.Contains(r.Stderr, "kubectl create namespace "+s.Namespace) {
		t.Error("stderr does not say how to make the namespace")
	}
	s.Namespace = strings.TrimSuffix(s.Namespace, "-none")
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.asNobody()
	r := s.knLite(4, "deploy", "-s", "fn", "--image", s.HelloWorld)
	for _, want := range []string{"get", "services.serving.knative.dev", "kubectl auth can-i get services.serving.knative.dev -n " + s.Namespace} {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("stderr does not say %q", want)
		}
	}
	s.knLite(4, "list")
}

// TestFewRights has a role for services and revisions alone, without watching:
// a deploy works, and says what it cannot look at when one fails. A right that
// it needs is missed before anything is written.
func TestFewRights(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	native := s.brokenImage("amd64")
	s.asNobody()
	role := func(verbs string) {
		s.kubectl("-n", s.Namespace, "delete", "role", "few", "--ignore-not-found")
		s.kubectl("-n", s.Namespace, "create", "role", "few", "--verb="+verbs, "--resource=services.serving.knative.dev,revisions.serving.knative.dev")
	}
	role("get,list,create")
	s.kubectl("-n", s.Namespace, "create", "rolebinding", "few", "--role=few", "--serviceaccount="+s.Namespace+":nobody")
	r := s.knLite(4, "deploy", "-s", "fn", "--image", native, "--env", "MODE=ok")
	if !strings.Contains(r.Stderr, "update services.serving.knative.dev") || len(s.names("ksvc")) > 0 {
		t.Errorf("the missing right is not named, or there is %v", s.names("ksvc"))
	}
	role("get,list,create,update")
	s.knLite(0, "deploy", "-s", "fn", "--image", native, "--env", "MODE=ok")
	r = s.knLite(0, "deploy", "-s", "fn", "--image", native, "--env", "MODE=ok", "--env", "ANSWER=two")
	if !strings.Contains(r.Stderr, "keeps the name fn-v2") {
		t.Error("stderr does not say that the template keeps its name")
	}
	before := s.spec("fn")
	// Knative itself says that the container crashes when it happens to look while it is
	// down; who may not see the pod knows of it by that alone.
	r = s.knLiteEnds([]int{3, 8}, "deploy", "-s", "fn", "--image", native, "--env", "MODE=crash", "--timeout", "20s")
	if !strings.Contains(r.Stderr, "not permitted to look at pods, logs, events, deployments") {
		t.Error("stderr does not say what could not be looked at")
	}
	if got := s.spec("fn"); got != before {
		t.Errorf("the former spec is not back:\n%s\nwant\n%s", got, before)
	}
	s.answers(s.host("fn"), func(body string) bool { return strings.Contains(body, "two") })
}

// TestCheckedFirst: names and references are checked before anything is written.
func TestCheckedFirst(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	native := s.brokenImage("amd64")
	s.knLite(0, "deploy", "-s", "fn", "--image", native, "--env", "MODE=ok")
	version := func() string {
		return s.kubectl("-n", s.Namespace, "get", "ksvc", "fn", "-o", "jsonpath={.metadata.resourceVersion}") + strings.Join(s.revisions("fn"), " ")
	}
	before := version()
	yaml := func(text string) {
		write(t, filepath.Join(s.Dir, "func.yaml"), "specVersion: 0.36.0\nname: fn\nruntime: go\ncreated: 2026-01-01T00:00:00Z\n"+text)
	}
	for _, tt := range []struct {
		code int
		says string
		yaml string
		args []string
	}{
		{2, "Next_1", "", []string{"--tag", "Next_1"}},
		{2, "Blue", "", []string{"--revision", "Blue"}},
		{2, "--tag: the value is empty", "", []string{"--tag", ""}},
		{5, "secret/no-such", "run:\n  envs:\n  - name: P\n    value: '{{ secret:no-such:password }}'\n", nil},
		{5, "configmap/no-such", "run:\n  volumes:\n  - configMap: no-such\n    path: /etc/settings\n", nil},
		{5, "serviceaccount/no-such", "deploy:\n  serviceAccountName: no-such\n", nil},
	} {
		yaml(tt.yaml)
		r := s.knLite(tt.code, append([]string{"deploy", "-s", "fn", "--image", native, "--env", "ANSWER=two"}, tt.args...)...)
		if !strings.Contains(r.Stderr, tt.says) {
			t.Errorf("stderr does not say %q", tt.says)
		}
		if got := version(); got != before {
			t.Fatalf("%s: something was written: %s, before %s", tt.says, got, before)
		}
	}
	// A revision that is gone and has a tag holds up each later split.
	yaml("")
	s.knLite(0, "deploy", "-s", "fn", "--image", native, "--env", "ANSWER=two", "--tag", "two")
	s.knLite(0, "deploy", "-s", "fn", "--image", native, "--env", "ANSWER=three")
	s.kubectl("-n", s.Namespace, "delete", "revision", "fn-v2")
	r := s.knLite(6, "deploy", "-s", "fn", "--image", native, "--env", "ANSWER=four")
	s.knLite(6, "traffic", "split", "-s", "fn", "v1=100")
	if !strings.Contains(r.Stderr, "kn-lite traffic untag -s fn two") {
		t.Error("stderr does not say how to remove the tag")
	}
	s.knLite(0, "traffic", "untag", "-s", "fn", "two")
	s.knLite(0, "deploy", "-s", "fn", "--image", native, "--env", "ANSWER=four")
	s.agrees("fn", map[string]int{"fn-v4": 100})
}

// asNobody makes kn-lite a service account without any rights.
func (s *sandbox) asNobody() {
	s.t.Helper()
	s.kubectl("-n", s.Namespace, "create", "serviceaccount", "nobody")
	token := strings.TrimSpace(s.kubectl("-n", s.Namespace, "create", "token", "nobody"))
	config := s.kubectl("config", "view", "--flatten", "--minify", "-o", "jsonpath={.clusters[0].cluster.server} {.clusters[0].cluster.certificate-authority-data}")
	server, ca, _ := strings.Cut(config, " ")
	path := filepath.Join(s.t.TempDir(), "kubeconfig")
	write(s.t, path, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %q}}]
users: [{name: nobody, user: {token: %q}}]
contexts: [{name: c, context: {cluster: c, user: nobody}}]
current-context: c
`, server, ca, token))
	// kubectl goes on with the rights it had; the later of two variables wins.
	s.knLiteEnv = []string{"KUBECONFIG=" + path}
}

// spec is a service's template and split as they stand.
func (s *sandbox) spec(service string) string {
	s.t.Helper()
	return s.kubectl("-n", s.Namespace, "get", "ksvc", service, "-o", "jsonpath={.spec}")
}

// brokenImage pushes the image of test/broken for an architecture.
func (s *sandbox) brokenImage(arch string) string {
	s.t.Helper()
	return broken.Push(s.t, registry.Options{}, s.Registry+"/e2e/broken:"+arch, arch)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
