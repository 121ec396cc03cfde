//go:build e2e

package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/registry"
)

// TestOthersServices deploys onto services that other tools have made by a tag
// that moves. A deploy that fails leaves exactly what served, and makes no other
// revision of it; after that and after a good one the other tool goes on.
func TestOthersServices(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	digest := s.brokenImage("amd64")
	for i, tool := range tools() {
		t.Run(tool.name, func(t *testing.T) {
			outer := s.t
			s.t = t
			defer func() { s.t = outer }()
			service := "fn" + string(rune('a'+i))
			tag := s.Registry + "/e2e/moving:" + service
			s.retag(digest, tag)
			must := func(r result) {
				t.Helper()
				if r.Code != 0 {
					t.Fatalf("%s is refused: exit %d\n%s%s", tool.name, r.Code, r.Stdout, r.Stderr)
				}
			}
			must(tool.set(s, service, tag, "one"))
			s.kubectl("-n", s.Namespace, "wait", "--for=condition=Ready", "ksvc/"+service, "--timeout=60s")
			host := s.host(service)
			s.answers(host, func(body string) bool { return strings.Contains(body, "one") })
			before, revisions := s.spec(service), s.revisions(service)

			// The tag moves to something else, which must not go live.
			s.retag(s.HelloWorld, tag)
			s.knLite(3, "deploy", "-s", service, "--image", digest, "--env", "MODE=crash")
			if got := s.spec(service); got != before {
				t.Errorf("the former spec is not back:\n%s\nwant\n%s", got, before)
			}
			if got, want := s.revisions(service), append(slices.Clone(revisions), service+"-v1"); !slices.Equal(got, want) {
				t.Errorf("revisions %v, want %v", got, want)
			}
			s.agrees(service, map[string]int{revisions[0]: 100})
			s.retag(digest, tag)
			s.served(tool, service, tag, host, "two")

			s.knLite(0, "deploy", "-s", service, "--image", digest, "--env", "ANSWER=three")
			s.answers(host, func(body string) bool { return strings.Contains(body, "three") })
			s.served(tool, service, tag, host, "four")
		})
	}
}

// served has another tool change a service, and waits for its answer.
func (s *sandbox) served(tool tool, service, image, host, answer string) {
	s.t.Helper()
	if r := tool.set(s, service, image, answer); r.Code != 0 {
		s.t.Errorf("%s is refused: exit %d\n%s%s", tool.name, r.Code, r.Stdout, r.Stderr)
		return
	}
	s.answers(host, func(body string) bool { return strings.Contains(body, answer) })
}

// revisions are the names of a service's revisions, in order.
func (s *sandbox) revisions(service string) []string {
	s.t.Helper()
	var out []string
	for _, name := range s.names("revision", "-l", "serving.knative.dev/service="+service) {
		out = append(out, name[strings.LastIndex(name, "/")+1:])
	}
	slices.Sort(out)
	return out
}

// retag makes a tag mean another image of the registry.
func (s *sandbox) retag(from, to string) {
	s.t.Helper()
	client, err := registry.New(registry.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	image, err := client.Pull(ctx, from, v1.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := client.Push(ctx, image, to); err != nil {
		s.t.Fatal(err)
	}
}
