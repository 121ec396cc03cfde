//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
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

// split is the service's live spec.traffic as "v1=50 v2=50", tags in brackets.
func (s *sandbox) split(name string) string {
	s.t.Helper()
	var live struct {
		Spec struct {
			Traffic []struct {
				RevisionName   string
				LatestRevision bool
				Percent        int
				Tag            string
			}
		}
	}
	s.object(&live, "ksvc", name)
	var parts []string
	for _, t := range live.Spec.Traffic {
		part := strings.TrimPrefix(t.RevisionName, name+"-")
		if t.LatestRevision {
			part = "@latest"
		}
		if t.Tag != "" {
			part += "(" + t.Tag + ")"
		}
		parts = append(parts, fmt.Sprintf("%s=%d", part, t.Percent))
	}
	return strings.Join(parts, " ")
}

func (s *sandbox) generation(name string) string {
	s.t.Helper()
	return s.kubectl("-n", s.Namespace, "get", "ksvc", name, "-o", "jsonpath={.metadata.generation}")
}

// Whatever is wrong with a split, the live service is not touched.
func TestTrafficRefusals(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.twoRevisions("fn")
	before, generation := s.split("fn"), s.generation("fn")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{2, "sum to 99: 1 % missing", []string{"v1=50", "v2=49"}},
		{2, "cannot be negative", []string{"v1=-1", "v2=101"}},
		{2, "named twice", []string{"v1=50", "v1=50"}},
		{2, "are the same target", []string{"v1=50", "fn-v1=50"}},
		{2, "whole numbers", []string{"v1=49.5", "v2=50.5"}},
		{5, "revisions: fn-v2, fn-v1", []string{"v1=50", "v9=50"}},
		{6, "its generation is " + generation, []string{"v1=50", "v2=50", "--if-generation", "99"}},
	} {
		r := s.knLite(c.code, append([]string{"traffic", "split", "-s", "fn"}, c.args...)...)
		if !strings.Contains(r.Stderr, c.says) {
			t.Errorf("traffic split %v does not say %q", c.args, c.says)
		}
	}
	s.knLite(5, "traffic", "split", "-s", "nobody", "v1=100")
	if got := s.split("fn"); got != before || s.generation("fn") != generation {
		t.Errorf("the split was %s and is %s", before, got)
	}
}

// A revision that is not ready gets no traffic, by whatever name it is called.
func TestTrafficNotReady(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.twoRevisions("fn")
	before := s.split("fn")
	s.kubectl("-n", s.Namespace, "patch", "ksvc", "fn", "--type=merge", "-p",
		`{"spec":{"template":{"metadata":{"name":"fn-broken"},"spec":{"containers":[{"image":"`+s.Registry+`/no/such:image"}]}}}}`)
	s.eventually(30*time.Second, "the broken revision is there", func() string {
		if strings.Contains(strings.Join(s.names("revision"), " "), "fn-broken") {
			return ""
		}
		return "no fn-broken"
	})
	r := s.knLite(6, "traffic", "split", "-s", "fn", "broken=1", "v2")
	if !strings.Contains(r.Stderr, "revision/fn-broken: is not ready, so it gets no traffic") {
		t.Error("the refusal does not name the revision")
	}
	if got := s.split("fn"); got != before {
		t.Errorf("the split was %s and is %s", before, got)
	}
	// The split between the others can still be changed, and is waited for.
	s.knLite(0, "traffic", "split", "-s", "fn", "v1=50", "v2=50")
	s.agrees("fn", map[string]int{"fn-v1": 50, "fn-v2": 50})
}

// Tags survive edits that do not name them, and give each revision a URL.
func TestTrafficTags(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.twoRevisions("fn")
	s.kubectl("-n", s.Namespace, "patch", "ksvc", "fn", "--type=merge", "-p",
		`{"spec":{"traffic":[{"revisionName":"fn-v2","percent":100},{"revisionName":"fn-v1","tag":"old"}]}}`)
	s.knLite(0, "traffic", "split", "-s", "fn", "v2=70", "old")
	if got := s.split("fn"); got != "v2=70 v1(old)=30" {
		t.Errorf("the split is %s", got)
	}
	s.knLite(0, "traffic", "split", "-s", "fn", "@latest=100")
	if got := s.split("fn"); got != "v1(old)=0 @latest=100" {
		t.Errorf("the split is %s", got)
	}
	s.agrees("fn", map[string]int{"fn-v2": 100})
	s.eventually(30*time.Second, "the tag's URL answers", func() string {
		r := s.run(s.program(t, "kn-lite"), "-n", s.Namespace, "invoke", "fn", "--tag", "old")
		if r.Code != 0 {
			return r.Stderr
		}
		return ""
	})
	r := s.knLite(0, "logs", "fn", "--revision", "old")
	if !strings.Contains(r.Stdout, "received a request") {
		t.Error("the log of the tagged revision does not show the request")
	}
}

// Of many writers that expect the same generation exactly one wins, and the
// others are told.
func TestTrafficConcurrentWriters(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.twoRevisions("fn")
	writers, rounds := 8, 3
	if full() {
		writers, rounds = 32, 20
	}
	bin := s.program(t, "kn-lite")
	// No split is the one of the round before: asking for what is there already
	// succeeds without a write.
	wants := func(round, writer int) string { return fmt.Sprintf("v1=%d", 1+writer+round%2*50) }
	for round := range rounds {
		generation := s.generation("fn")
		results := make([]result, writers)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() {
				results[i] = s.run(bin, "-n", s.Namespace, "traffic", "split", "-s", "fn", "--no-wait", "--if-generation", generation,
					wants(round, i), "v2")
			})
		}
		wg.Wait()
		won := -1
		for i, r := range results {
			switch {
			case r.Code == 0 && won >= 0:
				t.Errorf("round %d: both %d and %d were told that they won", round, won, i)
			case r.Code == 0:
				won = i
			case r.Code != 6:
				t.Errorf("round %d: writer %d exited with %d:\n%s", round, i, r.Code, r.Stderr)
			}
		}
		if won < 0 || !strings.Contains(s.split("fn"), wants(round, won)) {
			t.Errorf("round %d: writer %d won, and the split is %s", round, won, s.split("fn"))
		}
	}
	t.Logf("%d rounds of %d writers: one winner each, exit 6 for the others", rounds, writers)
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
