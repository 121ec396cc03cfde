package rollout

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

func only(revision string) traffic.Split { return traffic.Split{{Revision: revision, Percent: 100}} }

// withHistory is a service that has come to its split by others, in this order.
func withHistory(now traffic.Split, earlier ...traffic.Split) *store {
	s := newStore(now)
	text := ""
	for i, split := range earlier {
		text = traffic.Remember(text, split, time.Unix(int64(i), 0))
	}
	s.snap.Annotations = map[string]string{traffic.HistoryKey: text, "theirs": "stays"}
	return s
}

func (s *store) historyText(t *testing.T) string {
	t.Helper()
	past, err := traffic.History(s.snap.Annotations[traffic.HistoryKey])
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, p := range past {
		parts = append(parts, p.Split.String())
	}
	return strings.Join(parts, " | ")
}

func TestRollback(t *testing.T) {
	broken := func(s *store) { s.revs[1].State, s.revs[1].Reason = traffic.NotReady, "ExitCode1" }
	for _, tt := range []struct {
		name    string
		store   *store
		change  func(*store)
		to      string
		want    string // split
		history string
		kind    fault.Kind // of the error; Failure: none
	}{
		{"to the last one", withHistory(only("fn-v3"), only("fn-v1"), only("fn-v2")), nil, "", "fn-v2=100", "fn-v1=100", 0},
		{"over one that is as now", withHistory(only("fn-v3"), only("fn-v1"), only("fn-v3")), nil, "", "fn-v1=100", "", 0},
		{"over one that is not ready", withHistory(only("fn-v3"), only("fn-v1"), only("fn-v2")), broken, "", "fn-v1=100", "", 0},
		{"over one that is gone", withHistory(only("fn-v3"), only("fn-v1"), only("fn-v0")), nil, "", "fn-v1=100", "", 0},
		{"to what follows the latest", withHistory(only("fn-v1"), traffic.Split{{Latest: true, Percent: 100}}), nil, "", "@latest=100", "", 0},
		{"over changes of tags, which stay", withHistory(traffic.Split{{Revision: "fn-v3", Percent: 100}, {Revision: "fn-v2", Tag: "pr-7"}}, only("fn-v1"), only("fn-v3")), nil, "", "fn-v1=100 fn-v2(pr-7)=0", "", 0},
		{"none is good", withHistory(only("fn-v3"), only("fn-v2")), broken, "", "fn-v3=100", "fn-v2=100", fault.Conflict},
		{"none is known", withHistory(only("fn-v3")), nil, "", "fn-v3=100", "", fault.NotFound},
		{"to a revision", withHistory(only("fn-v3"), only("fn-v1"), only("fn-v2")), nil, "v1", "fn-v1=100", "", 0},
		{"to a revision that is not in the history", withHistory(only("fn-v3"), only("fn-v1")), nil, "v2", "fn-v2=100", "fn-v1=100", 0},
		{"to a revision that is not ready", withHistory(only("fn-v3"), only("fn-v1")), broken, "v2", "fn-v3=100", "fn-v1=100", fault.Conflict},
		{"to a revision that is not there", withHistory(only("fn-v3")), nil, "v9", "fn-v3=100", "", fault.NotFound},
		{"to where it is", withHistory(only("fn-v3"), only("fn-v1")), nil, "v3", "fn-v3=100", "fn-v1=100", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.change != nil {
				tt.change(tt.store)
			}
			_, err := Rollback{Service: "fn", To: tt.to, By: "ada", Now: time.Now()}.Run(t.Context(), tt.store, traffic.Options{Now: time.Now()})
			if tt.kind != 0 && fault.KindOf(err) != tt.kind || tt.kind == 0 && err != nil {
				t.Fatalf("%v", err)
			}
			if got := tt.store.snap.Spec.String(); got != tt.want {
				t.Errorf("the split is %s, want %s", got, tt.want)
			}
			if got := tt.store.historyText(t); got != tt.history || tt.store.snap.Annotations["theirs"] != "stays" {
				t.Errorf("the history is %q, want %q", got, tt.history)
			}
		})
	}
}

// Whoever goes back during a rollout ends it, with what was before.
func TestRollbackDuringARollout(t *testing.T) {
	for _, tt := range []struct {
		to, want string
		kind     fault.Kind
		phase    Phase
	}{
		{"", "fn-v1=100 fn-v2(old)=0", fault.RolledBack, Aborted},
		{"v2", "fn-v1=0 fn-v2(old)=100", fault.Conflict, Superseded},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(stable())
			time.AfterFunc(45*time.Second, func() {
				back := Rollback{Service: "fn", To: tt.to, By: "ada@host", Now: time.Now()}
				if _, err := back.Run(t.Context(), b.store, traffic.Options{Now: time.Now()}); err != nil {
					t.Error(err)
				}
			})
			s, err := b.run(t.Context())
			if fault.KindOf(err) != tt.kind || s.Phase != tt.phase || !strings.Contains(err.Error(), "rolled back by ada@host") {
				t.Errorf("%+v, %v", s, err)
			}
			if got := b.store.snap.Spec; tt.to == "" && cmp.Diff(stable(), got) != "" || tt.to != "" && got.Percent("fn-v2", "") != 100 {
				t.Errorf("the split is %s, want %s", got, tt.want)
			}
		})
	}
}
