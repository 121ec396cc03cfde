package preview

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)

func tags(all ...string) traffic.Split {
	split := traffic.Split{{Revision: "fn-v1", Percent: 100}}
	for _, tag := range all {
		split = append(split, traffic.Target{Revision: "fn-v2", Tag: tag})
	}
	return split
}

func TestExtend(t *testing.T) {
	first := Extend("", tags("pr-7"), 7, now, time.Hour)
	if want := `{"pr-7":{"created":"2026-03-01T12:00:00Z","expires":"2026-03-01T13:00:00Z"}}`; first != want {
		t.Errorf("first: %s", first)
	}
	// Again: the end moves, the beginning does not. A tag that has gone is forgotten.
	second := Extend(Extend(first, tags("pr-7", "pr-8"), 8, now, time.Hour), tags("pr-7"), 7, now.Add(time.Minute), time.Hour)
	if want := `{"pr-7":{"created":"2026-03-01T12:00:00Z","expires":"2026-03-01T13:01:00Z"}}`; second != want {
		t.Errorf("second: %s", second)
	}
	for _, broken := range []string{"{", "null", "[]", `{"pr-7":3}`} {
		if got := Extend(broken, tags("pr-7"), 7, now, time.Hour); got != first {
			t.Errorf("after %s: %s", broken, got)
		}
	}
	if Without(first, tags()) != "" || Without(first, tags("pr-7")) != first {
		t.Error("what is left")
	}
}

func TestListAndSelect(t *testing.T) {
	snap := &traffic.Snapshot{
		Spec:        tags("pr-12", "blue", "pr-7", "pr-07", "pr-", "pr-x", "pr-0", "pr-9"),
		Observed:    traffic.Split{{Revision: "fn-v2", Tag: "pr-7", URL: "http://pr-7-fn.example"}},
		Annotations: map[string]string{Key: Extend(Extend("", tags("pr-7"), 7, now.Add(-2*time.Hour), time.Hour), tags("pr-7", "pr-9"), 9, now, time.Hour)},
	}
	all := List(snap)
	var numbers []int
	for _, p := range all {
		numbers = append(numbers, p.Number)
	}
	if !slices.Equal(numbers, []int{7, 9, 12}) || all[0].Target.URL != "http://pr-7-fn.example" {
		t.Fatalf("%+v", all)
	}
	if !all[0].Expired(now) || all[1].Expired(now) || all[2].Expired(now.Add(1e6*time.Hour)) {
		t.Errorf("expired: %+v", all)
	}
	if !all[1].Expired(all[1].Expires) {
		t.Error("at its very end")
	}
	gone, unknown := Select(all, []int{12, 99, 99}, now)
	var gonePRs []int
	for _, p := range gone {
		gonePRs = append(gonePRs, p.Number)
	}
	if diff := cmp.Diff([]int{7, 12}, gonePRs); diff != "" || !slices.Equal(unknown, []int{99}) {
		t.Errorf("selected %v, unknown %v", gonePRs, unknown)
	}
}

func TestFromCI(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want int
	}{
		{nil, 0},
		{map[string]string{"GITHUB_REF": "refs/pull/7/merge"}, 7},
		{map[string]string{"GITHUB_REF": "refs/heads/main"}, 0},
		{map[string]string{"GITHUB_REF": "refs/pull/x/merge"}, 0},
		{map[string]string{"CI_MERGE_REQUEST_IID": "12"}, 12},
		{map[string]string{"CI_MERGE_REQUEST_IID": "-1"}, 0},
	} {
		if got := FromCI(func(name string) string { return tt.env[name] }); got != tt.want {
			t.Errorf("%v: %d", tt.env, got)
		}
	}
}
