package rollout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// bench is a service with a rollout of fn-v3 from fn-v1, in virtual time.
type bench struct {
	store  *store
	source *requests
	runner *Runner
	report *progresstest.Recorder
}

func newBench(split traffic.Split) *bench {
	b := &bench{store: newStore(split), report: &progresstest.Recorder{}}
	b.source = &requests{store: b.store, behaviour: func(string) behaviour { return behaviour{rate: 100, took: 5 * time.Millisecond} }}
	b.runner = b.owner("first")
	return b
}

func (b *bench) owner(name string) *Runner {
	return &Runner{
		Store: b.store, Report: b.report, Now: time.Now, Holder: name + "@host", Owner: name,
		Choose: func(context.Context, *State) (Source, string, error) { return b.source, "", nil },
	}
}

// candidate makes fn-v3 serve differently.
func (b *bench) candidate(change func(*behaviour)) {
	b.source.behaviour = func(revision string) behaviour {
		out := behaviour{rate: 100, took: 5 * time.Millisecond}
		if revision == "fn-v3" {
			change(&out)
		}
		return out
	}
}

func (b *bench) run(ctx context.Context) (*State, error) {
	return b.runner.Run(ctx, Request{Service: "fn", Target: "v3", Plan: Defaults()})
}

func stable() traffic.Split {
	return traffic.Split{{Revision: "fn-v1", Percent: 100}, {Revision: "fn-v2", Tag: "old"}}
}

func TestRunToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, begin := newBench(stable()), time.Now()
		s, err := b.run(t.Context())
		if err != nil || s.Phase != Done {
			t.Fatalf("%+v, %v", s, err)
		}
		if took := time.Since(begin); took < 90*time.Second || took > 2*time.Minute {
			t.Errorf("three steps of 30 s took %s", took)
		}
		var shares []int
		for _, split := range b.store.splits {
			shares = append(shares, split.Percent("fn-v3", ""))
			if split.Sum() != 100 || split.Tagged("old") < 0 {
				t.Errorf("a split of %s", split)
			}
		}
		if diff := cmp.Diff([]int{10, 50, 100}, shares); diff != "" {
			t.Error(diff)
		}
		past, err := traffic.History(b.store.snap.Annotations[traffic.HistoryKey])
		if err != nil || len(past) != 1 || !past[0].Split.Equal(stable()) {
			t.Errorf("the history is %v, %v, not one entry for the rollout", past, err)
		}
	})
}

// A service that follows its latest revision does so again when that is the candidate.
func TestRunFollowsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(traffic.Split{{Latest: true, Percent: 100}})
		b.store.snap.LatestReady, b.store.snap.Observed = "fn-v3", traffic.Split{{Latest: true, Revision: "fn-v1", Percent: 100}}
		if _, err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := b.store.snap.Spec.String(); got != "@latest=100" {
			t.Errorf("the split is %s", got)
		}
	})
}

func TestRunRollsBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plan  func(*bench)
		steps int // that were written before
		text  string
	}{
		{"5 % errors", func(b *bench) { b.candidate(func(c *behaviour) { c.errors = 0.05 }) }, 1, "(5 %) failed, and 1 % is the most"},
		{"300 ms slower", func(b *bench) { b.candidate(func(c *behaviour) { c.took += 300 * time.Millisecond }) }, 1, "the stable revision's"},
		{"no requests", func(b *bench) { b.candidate(func(c *behaviour) { c.rate = 0 }) }, 1, "0 of 20 requests within 5m0s"},
		{"no figures", func(b *bench) { b.source.fails = errors.New("connection refused") }, 1, "connection refused"},
		{"not ready any more", func(b *bench) {
			time.AfterFunc(50*time.Second, func() { b.store.revs[2].State, b.store.revs[2].Reason = traffic.NotReady, "ExitCode1" })
		}, 2, "ExitCode1"},
		{"deleted", func(b *bench) { time.AfterFunc(50*time.Second, func() { b.store.revs = b.store.revs[:2] }) }, 2, "it was deleted"},
		{"restarted", func(b *bench) {
			began := time.Now()
			b.runner.Restarts = func(context.Context, string) (map[string]int, error) {
				return map[string]int{"pod/user-container": int(time.Since(began) / (40 * time.Second))}, nil
			}
		}, 2, "restarted once, and 0 is the most"},
		{"the route takes nothing up", func(b *bench) { b.store.stuck = true }, 1, "did not route so within 5m0s"},
		{"not in time", func(b *bench) { b.runner.Deadline = time.Now().Add(40 * time.Second) }, 2, "not come to its end in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(stable())
				history := traffic.Remember("", traffic.Split{{Revision: "fn-v2", Percent: 100}}, time.Now())
				b.store.snap.Annotations = map[string]string{traffic.HistoryKey: history, "theirs": "stays"}
				tt.plan(b)
				s, err := b.run(t.Context())
				if fault.KindOf(err) != fault.RolledBack || s == nil || s.Phase != RolledBack {
					t.Fatalf("%+v, %v", s, err)
				}
				if !strings.Contains(err.Error(), tt.text) || !strings.Contains(s.Reason, tt.text) || !strings.Contains(fault.HintOf(err), "the former split serves again") {
					t.Errorf("%v\n%s", err, fault.HintOf(err))
				}
				if diff := cmp.Diff(stable(), b.store.snap.Spec); diff != "" {
					t.Error(diff)
				}
				if lines := b.report.Texts(progresstest.Update); len(lines) > 12*(tt.steps+1) {
					t.Errorf("%d lines of progress", len(lines))
				}
				if n := len(b.store.splits) - 1; n != tt.steps {
					t.Errorf("%d steps were written, want %d", n, tt.steps)
				}
				if b.store.snap.Annotations[traffic.HistoryKey] != history || b.store.snap.Annotations["theirs"] != "stays" {
					t.Errorf("annotations: %v", b.store.snap.Annotations)
				}
			})
		})
	}
}

func TestRunLeavesWhatOthersDo(t *testing.T) {
	theirs := traffic.Split{{Revision: "fn-v2", Percent: 100}}
	for _, tt := range []struct {
		name   string
		change func(*traffic.Snapshot)
		text   string
	}{
		{"a split", func(s *traffic.Snapshot) { s.Spec = theirs }, "fn-v2 0 % → 100 %"},
		{"a deploy", func(s *traffic.Snapshot) { s.LatestCreated = "fn-v4" }, "somebody has deployed fn-v4"},
		{"a change of the template", func(*traffic.Snapshot) {}, "was changed by somebody else"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(stable())
				var left traffic.Split
				time.AfterFunc(45*time.Second, func() {
					b.store.meddle(tt.change)
					left = b.store.snap.Spec
				})
				s, err := b.run(t.Context())
				if fault.KindOf(err) != fault.Conflict || s.Phase != Superseded || !strings.Contains(err.Error(), tt.text) {
					t.Fatalf("%+v, %v", s, err)
				}
				if !b.store.snap.Spec.Equal(left) {
					t.Errorf("the split is %s, and was %s", b.store.snap.Spec, left)
				}
				if noted := StateOf(&b.store.snap); noted.Phase != Superseded || !strings.Contains(noted.Reason, tt.text) {
					t.Errorf("noted: %+v", noted)
				}
			})
		})
	}
}

// What somebody changes just ahead of a step's own write is not overwritten either.
func TestRunDoesNotOverwriteAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(stable())
		b.store.before = func(s *store) {
			if len(s.splits) == 1 && s.snap.Spec.Equal(s.splits[0]) {
				s.snap.Spec = traffic.Split{{Revision: "fn-v2", Percent: 100}}
				s.snap.Generation++
				s.snap.Version += "0"
			}
		}
		_, err := b.run(t.Context())
		if fault.KindOf(err) != fault.Conflict || b.store.snap.Spec.String() != "fn-v2=100" {
			t.Errorf("%v, and the split is %s", err, b.store.snap.Spec)
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(stable())
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(45*time.Second, cancel)
		s, err := b.run(ctx)
		if !errors.Is(err, context.Canceled) || s.Phase != Paused || s.Share() != 50 || !strings.Contains(fault.HintOf(err), "rollout abort") {
			t.Fatalf("%+v, %v, %s", s, err, fault.HintOf(err))
		}
		if b.store.snap.Spec.Percent("fn-v3", "") != 50 {
			t.Errorf("the split is %s", b.store.snap.Spec)
		}
		other := b.owner("second")
		if _, err := other.Run(t.Context(), Request{Service: "fn", Target: "v2", Plan: Defaults()}); fault.KindOf(err) != fault.Conflict {
			t.Errorf("another candidate: %v", err)
		}
		begin := time.Now()
		s, err = other.Run(t.Context(), Request{Service: "fn", Plan: Defaults()})
		if err != nil || s.Phase != Done {
			t.Fatalf("%+v, %v", s, err)
		}
		if took := time.Since(begin); took < time.Minute || took > 80*time.Second {
			t.Errorf("the two steps that were left took %s", took)
		}
		if diff := cmp.Diff(3, len(b.store.splits)); diff != "" {
			t.Error(diff)
		}
	})
}

// Who does not renew the lease loses the rollout, to one, and stops on coming back.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(stable())
		first := make(chan error, 1)
		frozen := b.owner("first")
		wake := make(chan struct{})
		frozen.Restarts = func(context.Context, string) (map[string]int, error) {
			if len(b.store.splits) == 2 {
				<-wake // the machine sleeps
			}
			return nil, nil
		}
		go func() {
			_, err := frozen.Run(t.Context(), Request{Service: "fn", Target: "v3", Plan: Defaults()})
			first <- err
		}()
		time.Sleep(40 * time.Second)
		second := b.owner("second")
		if _, err := second.Run(t.Context(), Request{Service: "fn", Plan: Defaults()}); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "first@host") {
			t.Fatalf("it is held: %v", err)
		}
		time.Sleep(lease)
		done := make(chan error, 1)
		go func() {
			_, err := second.Run(t.Context(), Request{Service: "fn", Plan: Defaults()})
			done <- err
		}()
		time.Sleep(renewal + 10*time.Second)
		close(wake)
		if err := <-first; fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "taken over by second@host") {
			t.Errorf("the first one ends with %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("the second one ends with %v", err)
		}
		if got := b.store.snap.Spec.Percent("fn-v3", ""); got != 100 {
			t.Errorf("the candidate has %d %%", got)
		}
	})
}

// Whoever's clock is ahead does not take a rollout from somebody who is at work.
func TestClocksDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(stable())
		first := make(chan error, 1)
		go func() {
			_, err := b.run(t.Context())
			first <- err
		}()
		time.Sleep(20 * time.Second)
		ahead := b.owner("second")
		ahead.Now = func() time.Time { return time.Now().Add(time.Hour) }
		if _, err := ahead.Run(t.Context(), Request{Service: "fn", Plan: Defaults()}); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "at work on its rollout after all") {
			t.Errorf("the second one: %v", err)
		}
		if err := <-first; err != nil {
			t.Errorf("the first one: %v", err)
		}
	})
}

// Answers that are lost and refusals for a moment cost time and nothing else, wherever
// they come.
func TestFaultsOfTheServer(t *testing.T) {
	busy := fault.New(fault.Transient, "test", "", "503")
	for _, op := range []string{"snapshot", "revisions", "update", "lost"} {
		for nth := range 40 {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(stable())
				b.candidate(func(c *behaviour) {
					if b.store.snap.Spec.Percent("fn-v3", "") > 10 {
						c.errors = 0.5
					}
				})
				calls := 0
				fails := func(called string) error {
					if called != op {
						return nil
					}
					if calls++; calls > nth+1 && calls <= nth+4 { // the first one is about the request itself
						return busy
					}
					return nil
				}
				b.store.away, b.store.lost = fails, func() error { return fails("lost") }
				s, err := b.run(t.Context())
				if fault.KindOf(err) != fault.RolledBack || s.Phase != RolledBack || cmp.Diff(stable(), b.store.snap.Spec) != "" {
					t.Errorf("%s %d: %+v, %v, and the split is %s", op, nth, s, err, b.store.snap.Spec)
				}
				if len(b.store.splits) != 3 || b.store.snap.Annotations[traffic.HistoryKey] != "" {
					t.Errorf("%s %d: %d splits were written, history %q", op, nth, len(b.store.splits), b.store.snap.Annotations[traffic.HistoryKey])
				}
				if nth < 2 && calls <= nth+1 {
					t.Errorf("%s %d: the fault never came", op, nth)
				}
			})
		}
	}
}

func TestTwoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(stable())
		results := make(chan error, 8)
		for i := range cap(results) {
			r := b.owner(string(rune('a' + i)))
			go func() {
				_, err := r.Run(t.Context(), Request{Service: "fn", Target: "v3", Plan: Defaults()})
				results <- err
			}()
		}
		won := 0
		for range cap(results) {
			if err := <-results; err == nil {
				won++
			} else if fault.KindOf(err) != fault.Conflict {
				t.Error(err)
			}
		}
		if won != 1 || len(b.store.splits) != 3 {
			t.Errorf("%d won, %d splits were written", won, len(b.store.splits))
		}
	})
}

func TestAbortAndPromoteReachTheRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(stable())
		time.AfterFunc(10*time.Second, func() {
			if _, err := Abort(t.Context(), b.store, "fn", "ada@host", time.Now()); err != nil {
				t.Error(err)
			}
		})
		_, err := b.run(t.Context())
		if fault.KindOf(err) != fault.RolledBack || !strings.Contains(err.Error(), "ada@host") || cmp.Diff(stable(), b.store.snap.Spec) != "" {
			t.Errorf("%v, and the split is %s", err, b.store.snap.Spec)
		}
		if b.store.snap.Annotations[traffic.HistoryKey] != "" {
			t.Errorf("the history is %s", b.store.snap.Annotations[traffic.HistoryKey])
		}
		time.AfterFunc(10*time.Second, func() {
			if _, err := Promote(t.Context(), b.store, "fn", "ada@host", time.Now()); err != nil {
				t.Error(err)
			}
		})
		s, err := b.run(t.Context())
		if err != nil || s.Phase != Promoted || b.store.snap.Spec.Percent("fn-v3", "") != 100 {
			t.Errorf("%+v, %v, and the split is %s", s, err, b.store.snap.Spec)
		}
		for _, end := range []func(context.Context, traffic.Store, string, string, time.Time) (*Ended, error){Abort, Promote} {
			if _, err := end(t.Context(), b.store, "fn", "ada@host", time.Now()); fault.KindOf(err) != fault.NotFound {
				t.Errorf("there is nothing to end: %v", err)
			}
		}
	})
}

// An API server that is away for less than a step holds nothing up, and for longer
// leaves the rollout to whoever comes.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(stable())
		begin := time.Now()
		b.store.away = func(string) error {
			if since := time.Since(begin); since > 10*time.Second && since < 20*time.Second {
				return fault.New(fault.Transient, "test", "", "connection refused")
			}
			return nil
		}
		if s, err := b.run(t.Context()); err != nil || s.Phase != Done {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestNothingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(traffic.Split{{Revision: "fn-v3", Percent: 100}})
		s, err := b.run(t.Context())
		if err != nil || s.Phase != Done || len(b.store.splits) != 0 || b.store.snap.Annotations != nil {
			t.Errorf("%+v, %v", s, err)
		}
		b.store.revs[1].State = traffic.NotReady
		if _, err := b.runner.Run(t.Context(), Request{Service: "fn", Target: "v2", Plan: Defaults()}); fault.KindOf(err) != fault.Conflict {
			t.Errorf("a candidate that is not ready: %v", err)
		}
		if _, err := b.runner.Run(t.Context(), Request{Service: "fn", Target: "v9", Plan: Defaults()}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a candidate that is not there: %v", err)
		}
	})
}

// A candidate that has a share already does not lose it to the first step.
func TestStepsBelowTheShareAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(traffic.Split{{Revision: "fn-v1", Percent: 70}, {Revision: "fn-v3", Percent: 30}})
		if _, err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := b.store.splits[0].Percent("fn-v3", ""); got != 50 || len(b.store.splits) != 2 {
			t.Errorf("the first step gives %d %%, of %d", got, len(b.store.splits))
		}
	})
}
