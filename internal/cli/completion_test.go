package cli

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// serviceStore has one service and nothing else.
type serviceStore struct {
	traffic.Store
	snap      *traffic.Snapshot
	revisions []traffic.Revision
	err       error
}

func (s serviceStore) Snapshot(context.Context, string) (*traffic.Snapshot, error) {
	return s.snap, s.err
}

func (s serviceStore) Revisions(context.Context, string) ([]traffic.Revision, error) {
	return s.revisions, s.err
}

// What the shell shows of a service: each name, and after a tab what it is.
func TestListNames(t *testing.T) {
	store := serviceStore{
		snap: &traffic.Snapshot{Name: "hello", LatestReady: "hello-v2", Spec: traffic.Split{
			{Revision: "hello-v1", Percent: 90, Tag: "stable"}, {Latest: true, Percent: 10},
		}},
		revisions: []traffic.Revision{
			{Name: "hello-v3", State: traffic.NotReady, Reason: "ExitCode1"},
			{Name: "hello-v2", State: traffic.Ready},
			{Name: "hello-v1", State: traffic.Ready},
		},
	}
	for name, tt := range map[string]struct {
		list listNames
		want []string
	}{
		"revisions": {revisionNames, []string{"hello-v3\tnot ready: ExitCode1", "hello-v2\tready", "hello-v1\tready"}},
		"tags":      {tagNames, []string{"stable\thello-v1"}},
		"targets": {splitTargets, []string{
			"v3=\tnow 0 %, not ready: ExitCode1", "v2=\tnow 10 %, ready", "v1=\tnow 90 %, ready",
			"stable=\ttag, leads to hello-v1", "@latest=\tthe newest ready revision",
		}},
	} {
		if got, err := tt.list(t.Context(), store, "hello"); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if got, err := tt.list(t.Context(), serviceStore{err: errors.New("gone")}, "hello"); err == nil || len(got) > 0 {
			t.Errorf("%s of no cluster: %q, %v", name, got, err)
		}
	}
}

// A name from the cluster is one candidate and nothing else.
func TestVisibleCompletions(t *testing.T) {
	got := visibleCompletions([]string{"a\tone\x1b[31m", "b\nc", "d"})
	if len(got) != 3 || got[2] != "d" || slices.ContainsFunc(got, func(s string) bool {
		return slices.ContainsFunc([]rune(s), func(r rune) bool { return r == '\n' || r == 0x1b })
	}) {
		t.Errorf("%q", got)
	}
}
