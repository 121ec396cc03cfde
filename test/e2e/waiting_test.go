//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSlowStart: a container that listens after more than a minute is waited
// for as long as its startup probe allows, without any flag.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	if !full() {
		t.Skip("waits for 75 s; FULL=1 runs it")
	}
	s := newSandbox(t)
	native := s.brokenImage("amd64")
	s.knLite(0, "deploy", "-s", "fn", "--image", native, "--env", "MODE=ok", "--env", "ANSWER=one")
	patch := `{"spec":{"template":{"spec":{"containers":[{"image":"` + native + `","startupProbe":{"httpGet":{"path":"/","port":8080},"periodSeconds":5,"failureThreshold":40}}]}}}}`
	s.kubectl("-n", s.Namespace, "patch", "ksvc", "fn", "--type=merge", "-p", `{"spec":{"template":{"metadata":{"name":null}}}}`)
	s.kubectl("-n", s.Namespace, "patch", "ksvc", "fn", "--type=merge", "-p", patch)
	r := s.knLite(0, "deploy", "-s", "fn", "--image", native, "--env", "MODE=slow", "--env", "DELAY=75s", "--env", "ANSWER=slow")
	if r.Took < 75*time.Second {
		t.Errorf("it took %s: nothing was slow", r.Took)
	}
	s.answers(s.host("fn"), func(body string) bool { return strings.Contains(body, "slow") })
}

// TestLogsOverRestart follows a log while its container is restarted: each line
// comes once, and the run before can be read afterwards.
func TestLogsOverRestart(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.knLite(0, "deploy", "-s", "fn", "--image", s.brokenImage("amd64"), "--env", "MODE=ok", "--scale-min", "1")
	host := s.host("fn")
	followed := make(chan result)
	go func() {
		followed <- s.runWith(nil, filepath.Join(s.Bin, "kn-lite"), "-n", s.Namespace, "logs", "fn", "-f", "--timeout", "30s")
	}()
	ask := func(path string) {
		s.eventually(20*time.Second, path, func() string {
			status, _, err := s.get(host, path)
			if err != nil || status != 200 {
				return fmt.Sprint(status, err)
			}
			return ""
		})
	}
	time.Sleep(3 * time.Second)
	ask("/before")
	_, _, _ = s.get(host, "/crash")
	ask("/after")
	time.Sleep(3 * time.Second)
	ask("/later")
	r := <-followed
	var lines []string
	for _, line := range unprefixed(r.Stdout) {
		if strings.HasPrefix(line, "request /") && line != "request /" {
			lines = append(lines, line)
		}
	}
	if want := []string{"request /before", "request /after", "request /later"}; !slices.Equal(lines, want) {
		t.Errorf("followed %q, want %q\n%s%s", lines, want, r.Stdout, r.Stderr)
	}
	before := s.knLite(0, "logs", "fn", "--previous")
	if text := strings.Join(unprefixed(before.Stdout), "\n"); !strings.Contains(text, "request /before\ncrashing") || strings.Contains(text, "/after") {
		t.Errorf("the run before the restart wrote %q", before.Stdout)
	}
}

// unprefixed returns the lines of a log without the names of their pods, which
// stand there as soon as there are two of them: Knative may still be replacing
// the pod that the revision began with.
func unprefixed(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if _, text, ok := strings.Cut(line, "] "); ok && strings.HasPrefix(line, "[") {
			line = text
		}
		lines = append(lines, line)
	}
	return lines
}

// TestLogsOfSidecars: the container with the port is the one that is meant.
func TestLogsOfSidecars(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	native := s.brokenImage("amd64")
	manifest := filepath.Join(t.TempDir(), "fn.yaml")
	write(t, manifest, fmt.Sprintf(`apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: fn}
spec:
  template:
    spec:
      containers:
      - {name: beside, image: %q, env: [{name: MODE, value: port}]}
      - {name: app, image: %q, env: [{name: MODE, value: ok}], ports: [{containerPort: 8080}]}
`, native, native))
	s.kubectl("-n", s.Namespace, "apply", "-f", manifest)
	s.kubectl("-n", s.Namespace, "wait", "ksvc/fn", "--for=condition=Ready", "--timeout=90s")
	s.answers(s.host("fn"), func(body string) bool { return strings.Contains(body, "broken is fine") })
	for _, tt := range []struct {
		args     []string
		has, not string
	}{
		{nil, "request /", "listening on :9999"},
		{[]string{"-c", "beside"}, "listening on :9999", "request /"},
		{[]string{"--all-containers"}, "beside] listening on :9999", "no such"},
	} {
		r := s.knLite(0, append([]string{"logs", "fn"}, tt.args...)...)
		if !strings.Contains(r.Stdout, tt.has) || strings.Contains(r.Stdout, tt.not) {
			t.Errorf("logs %v: %q", tt.args, r.Stdout)
		}
	}
	containers := "app, beside, queue-proxy"
	if s.Platform == "local" {
		containers = "app, beside" // its router does what queue-proxy does
	}
	if r := s.knLite(5, "logs", "fn", "-c", "nosuch"); !strings.Contains(r.Stderr, containers) {
		t.Error("stderr does not list the containers")
	}
}

// TestPrivateService: nobody waits for an ingress that never answers.
func TestPrivateService(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "func.yaml"), "specVersion: 0.36.0\nname: fn\nruntime: go\ncreated: 2026-01-01T00:00:00Z\ndeploy: {expose: cluster}\n")
	s.Dir = dir
	r := s.knLite(0, "deploy", "-s", "fn", "--image", s.brokenImage("amd64"), "--env", "MODE=ok")
	if !strings.Contains(r.Stderr, "fn is private") || !strings.Contains(r.Stdout, ".svc.cluster.local") {
		t.Error("it does not say that the service is private")
	}
	s.knLiteEnv = []string{"KN_LITE_INGRESS="}
	if r := s.knLite(1, "invoke", "fn"); !strings.Contains(r.Stderr, "private to its cluster") {
		t.Error("invoke does not say that the service is private")
	}
}
