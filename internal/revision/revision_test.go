package revision

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

var now = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// numbered returns the revisions fn-v1 to fn-vN, a day between two, the newest of today.
func numbered(n int) []Revision {
	var out []Revision
	for i := 1; i <= n; i++ {
		out = append(out, Revision{Revision: traffic.Revision{
			Name: "fn-v" + strconv.Itoa(i), Generation: int64(i), Created: now.Add(-time.Duration(n-i)*24*time.Hour - time.Hour),
		}})
	}
	return out
}

func codes(reasons []Reason) []Code {
	var out []Code
	for _, r := range reasons {
		out = append(out, r.Code)
	}
	return out
}

func TestUses(t *testing.T) {
	s := &Service{
		LatestReady: "fn-v8", LatestCreated: "fn-v9",
		Spec:      traffic.Split{{Latest: true, Percent: 90}, {Revision: "fn-v2", Percent: 10}, {Revision: "fn-v3", Tag: "blue"}, {Latest: true, Tag: "next"}},
		Observed:  traffic.Split{{Revision: "fn-v7", Latest: true, Percent: 40}, {Revision: "fn-v8", Latest: true, Percent: 50}, {Revision: "fn-v2", Percent: 10}, {Revision: "fn-v4", Tag: "old"}},
		Deploying: []string{"fn-v9", "fn-v5"}, RollingOut: []string{"fn-v5", "fn-v6"},
	}
	for name, want := range map[string][]Code{
		"fn-v1": nil,
		"fn-v2": {Routed},
		"fn-v3": {Tagged},
		"fn-v4": {Tagged}, // still routed, though no longer asked for
		"fn-v5": {Deploying, RollingOut},
		"fn-v6": {RollingOut},
		"fn-v7": {Routed}, // on its way out in a gradual rollout
		"fn-v8": {Routed, Tagged, LatestReady},
		"fn-v9": {LatestCreated, Deploying},
	} {
		if diff := cmp.Diff(want, codes(s.Uses(name))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
	// A service that nobody has named targets for sends everything to the latest.
	plain := &Service{LatestReady: "fn-v1", LatestCreated: "fn-v1"}
	if got := codes(plain.Uses("fn-v1")); !slices.Equal(got, []Code{Routed, LatestReady}) {
		t.Errorf("without targets: %v", got)
	}
}

func TestGC(t *testing.T) {
	past := []traffic.Past{{Split: traffic.Split{{Revision: "fn-v3", Percent: 100}, {Revision: "fn-v2"}, {Latest: true, Tag: "x"}}}}
	base := Service{LatestReady: "fn-v9", LatestCreated: "fn-v9", Spec: traffic.Split{{Revision: "fn-v9", Percent: 100}}, Past: past}
	preserved := numbered(9)
	preserved[3].Preserved = true
	tests := []struct {
		name      string
		revisions []Revision
		policy    Policy
		gone      []string
	}{
		{"everything that nothing holds", numbered(9), Policy{}, []string{"fn-v8", "fn-v7", "fn-v6", "fn-v5", "fn-v4", "fn-v2", "fn-v1"}},
		{"the newest three", numbered(9), Policy{Keep: 3}, []string{"fn-v5", "fn-v4", "fn-v2", "fn-v1"}},
		{"the young ones", numbered(9), Policy{YoungerThan: 48 * time.Hour}, []string{"fn-v7", "fn-v6", "fn-v5", "fn-v4", "fn-v2", "fn-v1"}},
		{"young ones count among the newest", numbered(9), Policy{YoungerThan: 48 * time.Hour, Keep: 2}, []string{"fn-v6", "fn-v5", "fn-v4", "fn-v2", "fn-v1"}},
		{"more than there are", numbered(9), Policy{Keep: 100}, nil},
		{"annotated", preserved, Policy{}, []string{"fn-v8", "fn-v7", "fn-v6", "fn-v5", "fn-v2", "fn-v1"}},
		{"none", nil, Policy{}, nil},
	}
	for _, tt := range tests {
		tt.policy.Now = now
		verdicts := GC(&base, tt.revisions, tt.policy)
		if len(verdicts) != len(tt.revisions) {
			t.Errorf("%s: %d verdicts", tt.name, len(verdicts))
		}
		if diff := cmp.Diff(tt.gone, gone(verdicts)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
}

func gone(verdicts []Verdict) []string {
	var out []string
	for _, v := range verdicts {
		if len(v.Reasons) == 0 {
			out = append(out, v.Name)
		}
	}
	return out
}

// Whatever the service, nothing goes that is in use; more to keep never deletes
// more; and what has been tidied up once is tidy.
func TestGCProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "revisions")
		revisions := numbered(n)
		name := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("fn-v%d", rapid.IntRange(1, 13).Draw(t, "n")) })
		split := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) traffic.Target {
			return traffic.Target{
				Revision: name.Draw(t, "revision"), Latest: rapid.Bool().Draw(t, "latest"),
				Percent: rapid.IntRange(0, 100).Draw(t, "percent"), Tag: rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "tag"),
			}
		}), 0, 4)
		s := &Service{LatestReady: name.Draw(t, "ready"), LatestCreated: name.Draw(t, "created"), Spec: split.Draw(t, "spec"), Observed: split.Draw(t, "observed"), Past: []traffic.Past{{Split: split.Draw(t, "past")}}}
		p := Policy{Keep: rapid.IntRange(0, 5).Draw(t, "keep"), YoungerThan: time.Duration(rapid.IntRange(0, 5).Draw(t, "days")) * 24 * time.Hour, Now: now}
		dead := gone(GC(s, revisions, p))
		for _, name := range dead {
			if uses := s.Uses(name); len(uses) > 0 || s.inHistory(name) {
				t.Fatalf("%s goes: %v", name, uses)
			}
		}
		more := p
		more.Keep++
		for _, name := range gone(GC(s, revisions, more)) {
			if !slices.Contains(dead, name) {
				t.Fatalf("%s goes with one more to keep", name)
			}
		}
		rest := slices.DeleteFunc(slices.Clone(revisions), func(r Revision) bool { return slices.Contains(dead, r.Name) })
		if again := gone(GC(s, rest, p)); len(again) > 0 {
			t.Fatalf("the second time %v go", again)
		}
	})
}
