//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestSignedDeploy: what is signed by the right key goes live; what is not leaves
// the service as it is.
func TestSignedDeploy(t *testing.T) {
	s := newSandbox(t)
	s.knLite(0, "func", "create", "hello", "-l", "go")
	s.Dir = filepath.Join(s.Dir, "hello")
	s.knLite(0, "image", "keygen", "ours")
	s.knLite(0, "image", "keygen", "stranger")

	s.knLite(6, "deploy", "--sign-key", "stranger.key", "--verify-key", "ours.pub")
	s.knLite(5, "describe", "hello")
	s.knLite(0, "deploy", "--sign-key", "ours.key", "--verify-key", "ours.pub")
	host := s.host("hello")
	s.answers(host, func(body string) bool { return !strings.Contains(body, marker) })

	s.edit("handle.go", "Hello", marker)
	before := s.generation("hello")
	refused := s.knLite(6, "deploy", "--verify-key", "ours.pub")
	if !strings.Contains(refused.Stderr, "it is not signed") {
		t.Errorf("deploy says %s", refused.Stderr)
	}
	if now := s.generation("hello"); now != before {
		t.Errorf("a refused deploy has changed the service: generation %s, was %s", now, before)
	}
	s.agrees("hello", map[string]int{"hello-v1": 100})

	s.knLite(0, "deploy", "--sign-key", "ours.key", "--verify-key", "ours.pub")
	s.answers(host, func(body string) bool { return strings.Contains(body, marker) })
	verified := s.knLite(0, "image", "verify", s.Registry+"/e2e/hello", "--key", "ours.pub")
	image := s.kubectl("-n", s.Namespace, "get", "ksvc", "hello", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	if strings.TrimSpace(verified.Stdout) != image {
		t.Errorf("%s is live, and %s was verified", image, verified.Stdout)
	}
}

// TestClusterBuildSigned: the pod attaches the documents and never has the key.
func TestClusterBuildSigned(t *testing.T) {
	s := clusterProject(t, "COPY . .\nRUN echo hello > greeting\nCMD [\"node\", \"/app/server.js\"]\n")
	s.knLite(0, "image", "keygen", "../ours")
	s.knLite(0, "deploy", "--builder", "cluster", "--sign-key", "../ours.key", "--verify-key", "../ours.pub")
	s.nothingLeft()
	sbom := s.knLite(0, "image", "inspect", s.Registry+"/e2e/app", "--sbom")
	if !strings.Contains(sbom.Stdout, "DESCENDANT_OF") {
		t.Errorf("SBOM: %s", sbom.Stdout)
	}
	origin := s.knLite(0, "image", "inspect", s.Registry+"/e2e/app", "--provenance")
	if !strings.Contains(origin.Stdout, `"builder": "cluster"`) {
		t.Errorf("provenance: %s", origin.Stdout)
	}
}
