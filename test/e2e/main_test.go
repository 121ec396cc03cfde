//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// marker is what the second version of a function answers and the first does not.
const marker = "greetings from the second version"

// project is one template and how a user would change it.
type project struct {
	language       string
	test           []string // the template's own unit tests
	file, from, to string   // the edit that makes the second version
}

func projects() []project {
	return []project{
		{language: "go", test: []string{"go", "test", "./..."}, file: "handle.go", from: "Hello", to: marker},
		{language: "node", test: []string{"npm", "test"}, file: "index.js", from: "Hello", to: marker},
	}
}

// TestMainJob is what kn-lite is for: from nothing to a live 50/50 split and
// back to nothing, once for each template.
func TestMainJob(t *testing.T) {
	for _, p := range projects() {
		t.Run(p.language, func(t *testing.T) {
			t.Parallel()
			mainJob(t, p)
		})
	}
}

func mainJob(t *testing.T, p project) {
	s := newSandbox(t)
	s.knLite(0, "func", "create", "hello", "-l", p.language)
	s.Dir = filepath.Join(s.Dir, "hello")
	if p.language == "node" {
		s.ok("npm", "install")
	}
	s.ok(p.test[0], p.test[1:]...)

	first := s.knLite(0, "deploy")
	host := s.host("hello")
	if !strings.Contains(first.Stdout, host) {
		t.Errorf("deploy's stdout %q does not have the URL of %s", first.Stdout, host)
	}
	s.answers(host, func(body string) bool { return !strings.Contains(body, marker) })

	s.edit(p.file, p.from, p.to)
	s.knLite(0, "deploy")
	s.answers(host, func(body string) bool { return strings.Contains(body, marker) })
	s.agrees("hello", map[string]int{"hello-v2": 100})

	s.knLite(0, "traffic", "split", "v1=50", "v2=50")
	s.agrees("hello", map[string]int{"hello-v1": 50, "hello-v2": 50})
	// Traefik's Knative provider reports an ingress ready before its own routers
	// have it, a few hundred milliseconds on a busy machine. The first answer of
	// v1 tells that the new split is the one that is counted.
	s.answers(host, func(body string) bool { return !strings.Contains(body, marker) })
	counts := s.spread(host, 400)
	t.Logf("%s: 400 requests: v1 %d (%.1f %%), v2 %d (%.1f %%)", p.language, counts["v1"], float64(counts["v1"])/4, counts["v2"], float64(counts["v2"])/4)
	for _, version := range []string{"v1", "v2"} {
		// 50 ± 8 % of 400: more than three standard deviations of a fair coin.
		if n := counts[version]; n < 168 || n > 232 {
			t.Errorf("%s got %d of 400 requests, want 168 to 232", version, n)
		}
	}

	// The same image again is no reason for a new revision.
	s.knLite(0, "deploy", "--no-wait")
	s.knowsKn("hello")

	s.knLite(0, "delete", "hello")
	s.eventually(2*time.Minute, "nothing is left after delete", func() string {
		left := s.names("ksvc,configuration.serving.knative.dev,revision,route,deployment,pod")
		return strings.Join(left, " ")
	})
	s.knLite(5, "describe", "hello")
}

// host is the name under which the service's status says it can be reached.
func (s *sandbox) host(service string) string {
	s.t.Helper()
	u, err := url.Parse(s.kubectl("-n", s.Namespace, "get", "ksvc", service, "-o", "jsonpath={.status.url}"))
	if err != nil || u.Host == "" {
		s.t.Fatalf("service %s has no URL in its status (%v)", service, err)
	}
	return u.Host
}

// answers waits for the right body. `deploy` has already waited until the
// service is ready, so what is waited for is only the ingress's own reload.
func (s *sandbox) answers(host string, right func(body string) bool) {
	s.t.Helper()
	s.eventually(30*time.Second, host+" answers with the right version", func() string {
		status, body, err := s.get(host, "/")
		switch {
		case err != nil:
			return err.Error()
		case status != http.StatusOK || !right(body):
			return fmt.Sprintf("status %d, body %q", status, body)
		}
		return ""
	})
}

// spread sends n requests, a few at a time, and counts the versions that answer.
func (s *sandbox) spread(host string, n int) map[string]int {
	s.t.Helper()
	counts := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	work := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for range work {
				status, body, err := s.get(host, "/")
				version := "v1"
				switch {
				case err != nil:
					version = err.Error()
				case status != http.StatusOK:
					version = fmt.Sprintf("status %d", status)
				case strings.Contains(body, marker):
					version = "v2"
				}
				mu.Lock()
				counts[version]++
				mu.Unlock()
			}
		})
	}
	for range n {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	if got := slices.Sorted(maps.Keys(counts)); len(got) != 2 {
		s.t.Errorf("answers came from %v, want v1 and v2 only (counts %v)", got, counts)
	}
	return counts
}

// service is the part of a Knative Service that the tests look at.
type service struct {
	Spec   struct{ Traffic []share }
	Status struct{ Traffic []share }
}

type share struct {
	RevisionName   string
	LatestRevision bool
	Percent        int
	Tag            string
}

// agrees checks the live split against want, and that `traffic show -o json`
// and kubectl tell the same story.
func (s *sandbox) agrees(name string, want map[string]int) {
	s.t.Helper()
	var live service
	s.object(&live, "ksvc", name)
	got := map[string]int{}
	for _, target := range live.Status.Traffic {
		got[target.RevisionName] += target.Percent
	}
	maps.DeleteFunc(got, func(_ string, percent int) bool { return percent == 0 })
	if !maps.Equal(got, want) {
		s.t.Errorf("kubectl says %v, want %v", got, want)
	}
	var shown struct {
		APIVersion string
		Targets    []struct {
			Revision string
			Percent  int
		}
	}
	out := s.knLite(0, "traffic", "show", "-s", name, "-o", "json").Stdout
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		s.t.Fatalf("traffic show -o json: %v", err)
	}
	if shown.APIVersion != "kn-lite.dev/v1" {
		s.t.Errorf("traffic show -o json has apiVersion %q", shown.APIVersion)
	}
	said := map[string]int{}
	for _, target := range shown.Targets {
		said[target.Revision] += target.Percent
	}
	maps.DeleteFunc(said, func(_ string, percent int) bool { return percent == 0 })
	if !maps.Equal(said, got) {
		s.t.Errorf("traffic show says %v, kubectl says %v", said, got)
	}
}

// knowsKn has kn, the reference client, read what kn-lite made.
func (s *sandbox) knowsKn(name string) {
	s.t.Helper()
	list := s.ok("kn", "service", "list", "-n", s.Namespace)
	if !strings.Contains(list, name) || !strings.Contains(list, "True") {
		s.t.Errorf("kn service list does not show %s as ready:\n%s", name, list)
	}
	describe := s.ok("kn", "service", "describe", name, "-n", s.Namespace)
	for _, want := range []string{name + "-v1", name + "-v2", "50%"} {
		if !strings.Contains(describe, want) {
			s.t.Errorf("kn service describe does not mention %s:\n%s", want, describe)
		}
	}
	revisions := s.ok("kn", "revision", "list", "-n", s.Namespace)
	if strings.Count(revisions, name+"-v") != 2 {
		s.t.Errorf("kn revision list: want %s-v1 and %s-v2:\n%s", name, name, revisions)
	}
}
