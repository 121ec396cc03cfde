package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

func TestSummarizeView(t *testing.T) {
	made := time.Date(2026, 1, 1, 1, 0, 0, 0, time.FixedZone("x", 3600))
	split := traffic.Split{{Revision: "hello-v1", Percent: 60, Tag: "old", URL: "http://old"}, {Latest: true, Percent: 40}, {Latest: true, Tag: "next"}}
	view := &cluster.View{
		Snapshot: &traffic.Snapshot{
			Name: "hello", Namespace: "demo", Ready: traffic.Ready, LatestReady: "hello-v2", LatestCreated: "hello-v2", Generation: 3,
			Created: made, Spec: split, Observed: split,
		},
		Conditions: []cluster.Condition{{Type: "Ready", State: traffic.Ready, Since: made}},
		Domains:    []cluster.Domain{{Name: "hello.example", Ready: traffic.NotReady, Reason: "NoDNS"}},
		Revisions: []cluster.Revision{
			{Revision: traffic.Revision{Name: "hello-v2", State: traffic.Ready, Created: made}, Replicas: 2},
			{Revision: traffic.Revision{Name: "hello-v1", State: traffic.NotReady, Reason: "Retired", Created: made}},
		},
	}
	got := SummarizeView(view)
	if got.Revisions[0].Percent != 40 || !cmp.Equal(got.Revisions[0].Tags, []string{"next"}) || got.Revisions[0].Replicas != 2 {
		t.Errorf("%+v", got.Revisions[0])
	}
	if got.Revisions[1].Percent != 60 || !cmp.Equal(got.Revisions[1].Tags, []string{"old"}) || got.Revisions[1].Ready != "False" {
		t.Errorf("%+v", got.Revisions[1])
	}
	if got.Created.Location() != time.UTC || got.Conditions[0].Since.Hour() != 0 || got.Domains[0].Reason != "NoDNS" {
		t.Errorf("%+v", got)
	}
	raw, err := json.Marshal(SummarizeView(&cluster.View{Snapshot: &traffic.Snapshot{Name: "fresh"}}))
	if err != nil {
		t.Fatal(err)
	}
	// Lists are there when they are empty.
	for _, want := range []string{`{"name":"fresh",`, `"traffic":[]`, `"spec":[{"latestRevision":true,"percent":100}]`, `"domains":[]`, `"conditions":[]`, `"revisions":[]`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s lacks %s", raw, want)
		}
	}
}

func TestSummarizeSplit(t *testing.T) {
	got := SummarizeSplit(traffic.Split{{Latest: true, Percent: 100}, {Revision: "gone", Tag: "x", URL: "u"}}, "v2", []traffic.Revision{{Name: "v2", State: traffic.NotReady, Reason: "Boom"}})
	want := []TargetInfo{{Latest: true, Percent: 100, Ready: "False", Reason: "Boom"}, {Revision: "gone", Tag: "x", URL: "u"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if FindRevision(nil, "v1") != nil {
		t.Error("a revision of none")
	}
}
