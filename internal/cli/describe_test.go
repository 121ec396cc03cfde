package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/app"
)

func TestDescribeText(t *testing.T) {
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	hello := &app.ServiceDetail{
		ServiceInfo: app.ServiceInfo{
			Name: "hello", Namespace: "demo", URL: "http://hello.demo.example", Ready: "False", Reason: "RevisionFailed", Message: "it\nended\x1b[2J",
			Created: now.Add(-3 * time.Hour),
			Traffic: []app.TargetInfo{{Revision: "hello-v2", Percent: 100}, {Revision: "hello-v1", Tag: "old", URL: "http://old-hello.demo.example"}},
		},
		Domains:    []app.DomainInfo{{Name: "hello.example", Ready: "True"}, {Name: "new.example", Ready: "Unknown", Reason: "Waiting", Message: "for a certificate"}},
		Conditions: []app.ConditionInfo{{Type: "Ready", Status: "False", Reason: "RevisionFailed", Message: "it ended"}, {Type: "RoutesReady", Status: "True"}, {Type: "ConfigurationsReady", Status: "Unknown"}},
		Revisions: []app.RevisionInfo{
			{Name: "hello-v2", Ready: "False", Reason: "ExitCode1", Percent: 100, Replicas: 2, Image: "reg.example/hello@sha256:2", Commit: "abc", Created: now.Add(-90 * time.Second)},
			{Name: "hello-v1", Ready: "True", Tags: []string{"old"}, Replicas: 1, Image: "reg.example/hello@sha256:1", Created: now.Add(-72 * time.Hour)},
		},
	}
	const want = `Service     hello
Namespace   demo
URL         http://hello.demo.example
Domain      hello.example (ready)
Domain      new.example (starting: Waiting: for a certificate)
State       not ready: RevisionFailed: it ended\x1b[2J
Age         3h
Tag         old → hello-v1 (http://old-hello.demo.example)

Conditions
  ✗ Ready: RevisionFailed: it ended
  ✓ RoutesReady
  … ConfigurationsReady

Revisions
  ├─ 100 %  hello-v2
  │     not ready: ExitCode1, 2 pods, 90s old
  │     reg.example/hello@sha256:2
  │     commit abc
  └─ 0 %  hello-v1 (old)
        ready, 1 pod, 3d old
        reg.example/hello@sha256:1`
	if diff := cmp.Diff(want, describeText(hello, false, now)); diff != "" {
		t.Error(diff)
	}
}

// Of revisions without traffic and tags the newest are shown, and how many others there are.
func TestDescribeHidesOldRevisions(t *testing.T) {
	d := &app.ServiceDetail{}
	for i := range describeAtMost + 5 {
		d.Revisions = append(d.Revisions, app.RevisionInfo{Name: fmt.Sprintf("hello-v%d", 20-i), Ready: "True"})
	}
	d.Revisions[describeAtMost+2].Percent, d.Revisions[describeAtMost+3].Tags = 100, []string{"old"}
	if got := len(recentRevisions(d.Revisions)); got != describeAtMost+2 {
		t.Errorf("%d are shown", got)
	}
	now := time.Now()
	got, all := describeText(d, false, now), describeText(d, true, now)
	if !strings.HasSuffix(got, "\n  └─ and 3 older revisions without traffic: --all shows them") || len(all) < len(got) || strings.Contains(all, "older") {
		t.Errorf("%q", got)
	}
	if got := describeText(&app.ServiceDetail{}, false, now); !strings.HasSuffix(got, "\n\nRevisions\n  none yet") {
		t.Errorf("%q", got)
	}
}
