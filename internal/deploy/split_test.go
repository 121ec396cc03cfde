package deploy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"pgregory.net/rapid"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

func TestFinalSplit(t *testing.T) {
	one := func(name string, percent int) traffic.Target { return traffic.Target{Revision: name, Percent: percent} }
	tagged := func(name, tag string, percent int) traffic.Target {
		return traffic.Target{Revision: name, Tag: tag, Percent: percent}
	}
	tests := []struct {
		name    string
		current traffic.Split
		want    Traffic
		tag     string
		next    string
	}{
		{"first", nil, Traffic{}, "", "n=100"},
		{"first, and no traffic asked for", nil, Traffic{Partial: true, Share: 5}, "", "n=100"},
		{"all from one", traffic.Split{one("a", 100)}, Traffic{}, "", "n=100"},
		{"all from two", traffic.Split{one("a", 30), one("b", 70)}, Traffic{}, "", "n=100"},
		{"a tag stays", traffic.Split{tagged("a", "stable", 100)}, Traffic{}, "", "a(stable)=0 n=100"},
		{"a third of two", traffic.Split{one("a", 50), one("b", 50)}, Traffic{Partial: true, Share: 33}, "", "a=34 b=33 n=33"},
		{"nearly all", traffic.Split{one("a", 99), one("b", 1)}, Traffic{Partial: true, Share: 99}, "", "a=1 n=99"},
		{"again, with another share", traffic.Split{one("a", 90), one("n", 10)}, Traffic{Partial: true, Share: 40}, "", "a=60 n=40"},
		{"keep", traffic.Split{one("a", 100)}, Traffic{Keep: true}, "", "a=100"},
		{"keep, tagged", traffic.Split{one("a", 100)}, Traffic{Keep: true}, "t", "a=100 n(t)=0"},
		{"the tag moves", traffic.Split{one("a", 100), tagged("b", "t", 0)}, Traffic{Keep: true}, "t", "a=100 n(t)=0"},
		{"the tag moves from a line with traffic", traffic.Split{tagged("a", "t", 100)}, Traffic{Keep: true}, "t", "a=100 n(t)=0"},
		{"the tag is there", traffic.Split{one("a", 100), tagged("n", "t", 0)}, Traffic{}, "t", "n(t)=0 n=100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := finalSplit(tt.current, "n", tt.want, tt.tag).String(); got != tt.next {
				t.Errorf("got %s, want %s", got, tt.next)
			}
		})
	}
}

// TestShareSums: whatever the split, the result sums to 100, the revision has
// its share, and nobody else is off its proportion by a whole percent.
func TestShareSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cuts := rapid.SliceOfN(rapid.IntRange(0, 100), 0, 6).Draw(t, "cuts")
		cuts = append(cuts, 100)
		var current traffic.Split
		left := 100
		for i, c := range cuts {
			p := min(c, left)
			left -= p
			current = append(current, traffic.Target{Revision: string(rune('a' + i)), Percent: p})
		}
		percent := rapid.IntRange(1, 100).Draw(t, "share")
		next := finalSplit(current, "n", Traffic{Partial: true, Share: percent}, "")
		if next.Sum() != 100 || next.Percent("n", "") != percent {
			t.Fatalf("%s with %d %% for n is %s", current, percent, next)
		}
		for _, c := range current {
			exact := float64(c.Percent*(100-percent)) / 100
			if got := float64(next.Percent(c.Revision, "")); got-exact >= 1 || exact-got >= 1 {
				t.Fatalf("%s: %s has %v, exactly %v", current, c.Revision, got, exact)
			}
		}
	})
}

func TestPinned(t *testing.T) {
	yes := true
	percent := func(n int64) *int64 { return &n }
	svc := &servingv1.Service{}
	svc.Status.LatestReadyRevisionName = "fn-v3"
	tests := []struct {
		name         string
		spec, status []servingv1.TrafficTarget
		want         string
	}{
		{"nothing said means the latest", nil, nil, "fn-v3=100"},
		{
			"the route lags behind the configuration",
			[]servingv1.TrafficTarget{{LatestRevision: &yes, Percent: percent(100)}},
			[]servingv1.TrafficTarget{{LatestRevision: &yes, RevisionName: "fn-v2", Percent: percent(100)}},
			"fn-v2=100",
		},
		{"names stay", []servingv1.TrafficTarget{{RevisionName: "fn-v1", Percent: percent(60)}, {LatestRevision: &yes, Percent: percent(40)}}, nil, "fn-v1=60 fn-v3=40"},
		{"a tag on the latest stays there", []servingv1.TrafficTarget{{LatestRevision: &yes, Tag: "newest", Percent: percent(100)}}, nil, "fn-v3=100 @latest(newest)=0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svc.Spec.Traffic, svc.Status.Traffic = tt.spec, tt.status
			got, _ := pinned(svc)
			if got.String() != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTargetsRoundTrip(t *testing.T) {
	in := traffic.Split{{Revision: "a", Percent: 40}, {Latest: true, Percent: 60, Tag: "t"}}
	if diff := cmp.Diff(in, SplitOf(TargetsOf(in))); diff != "" {
		t.Error(diff)
	}
}
