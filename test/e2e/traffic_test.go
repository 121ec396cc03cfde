//go:build e2e

package e2e

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

// twoRevisions makes a service with NAME-v1 and NAME-v2, and all traffic on
// the second.
func (s *sandbox) twoRevisions(name string) {
	s.t.Helper()
	for _, answer := range []string{"one", "two"} {
		s.knLite(0, "deploy", "-s", name, "--image", s.HelloWorld, "--env", "TARGET="+answer)
	}
}

func (s *sandbox) generation(name string) string {
	s.t.Helper()
	return s.kubectl("-n", s.Namespace, "get", "ksvc", name, "-o", "jsonpath={.metadata.generation}")
}

// What the cluster says of a service, each command says in its own way.
func TestDayTwo(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.twoRevisions("fn")
	s.knLite(0, "traffic", "split", "-s", "fn", "v1=50", "v2=50")
	if r := s.knLite(0, "list"); !regexp.MustCompile(`(?m)^fn +http://fn\..* +fn-v2 +v1 50 %, v2 50 % +\d+[sm] +ready$`).MatchString(r.Stdout) {
		t.Error("list does not show the service with its split")
	}
	var described struct {
		URL       string
		Ready     string
		Revisions []struct {
			Name    string
			Ready   string
			Percent int
			Image   string
		}
	}
	if err := json.Unmarshal([]byte(s.knLite(0, "describe", "fn", "-o", "json").Stdout), &described); err != nil {
		t.Fatal(err)
	}
	if described.Ready != "True" || len(described.Revisions) != 2 || described.Revisions[0].Name != "fn-v2" || described.Revisions[1].Percent != 50 {
		t.Errorf("describe says %+v", described)
	}
	if r := s.knLite(0, "invoke", "fn"); !strings.Contains(r.Stdout, "Hello World") || !strings.Contains(r.Stderr, "200 OK") {
		t.Error("invoke does not show the answer and its status")
	}
	// Without the setting, the ingress is found in the cluster.
	env := s.env
	s.env = nil
	for _, entry := range env {
		if !strings.HasPrefix(entry, "KN_LITE_INGRESS=") {
			s.env = append(s.env, entry)
		}
	}
	r := s.knLite(0, "invoke", "fn", "-o", "json")
	s.env = env
	if !strings.Contains(r.Stdout, `"address": "`+s.Ingress+`"`) {
		t.Errorf("the ingress was not found at %s", s.Ingress)
	}
	if r := s.knLite(0, "logs", "fn"); !strings.Contains(r.Stdout, "received a request") {
		t.Error("logs does not show the requests")
	}
	s.eventually(2*time.Minute, "scaled to zero", func() string { return strings.Join(s.names("pod"), " ") })
	if r := s.knLite(0, "logs", "fn"); !strings.Contains(r.Stderr, "scaled to zero") {
		t.Error("logs does not say why there are none")
	}
	s.knLite(0, "delete", "fn")
	if left := s.names("ksvc,configuration.serving.knative.dev,revision,route,deployment,pod"); len(left) > 0 {
		t.Errorf("delete has waited, and there are still %v", left)
	}
	s.knLite(5, "delete", "fn")
}
