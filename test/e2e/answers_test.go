//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// marker is what the second version of a function answers and the first does not.
const marker = "greetings from the second version"

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
// and kubectl say the same.
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
