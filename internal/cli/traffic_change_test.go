package cli

import (
	"testing"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// TestAlike: a revision that had its share as the latest one and has it by name now, or
// the other way round, is one line of the table.
func TestAlike(t *testing.T) {
	latest := traffic.Target{Latest: true, Percent: 100}
	named := traffic.Target{Revision: "fn-v2", Percent: 50}
	for _, tt := range []struct {
		name                string
		before, after, want traffic.Split
	}{
		{"by name now", traffic.Split{latest}, traffic.Split{named}, traffic.Split{{Revision: "fn-v2", Percent: 100}}},
		{"the latest now", traffic.Split{named}, traffic.Split{latest}, traffic.Split{{Latest: true, Percent: 50}}},
		{"both", traffic.Split{latest}, traffic.Split{named, latest}, traffic.Split{latest}},
		{"another revision", traffic.Split{{Revision: "fn-v1", Percent: 100}}, traffic.Split{named}, traffic.Split{{Revision: "fn-v1", Percent: 100}}},
		{"a tag of it", traffic.Split{{Latest: true, Tag: "blue"}}, traffic.Split{named}, traffic.Split{{Latest: true, Tag: "blue"}}},
	} {
		if got := alike(tt.before, tt.after, "fn-v2"); !got.Equal(tt.want) || len(got) != len(tt.want) || got[0] != tt.want[0] {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
