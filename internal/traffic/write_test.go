package traffic

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kn-lite/kn-lite/internal/fault"
)

var clock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// server is a Store that, unlike client-go's fake, insists on the version a
// write was computed from. before runs ahead of each write, with the lock
// held, and may change the service as somebody else would.
type server struct {
	mu      sync.Mutex
	changed chan struct{}
	snap    Snapshot
	revs    []Revision
	before  func(*Snapshot)
	writes  int
	away    error // the server does not answer
}

func newServer(split Split) *server {
	s := &server{changed: make(chan struct{}), revs: hello().Revisions}
	s.snap = Snapshot{Name: "hello", Version: "1", Generation: 1, Spec: split, LatestReady: "hello-v3", Routed: Ready, ObservedGeneration: 1, Observed: split}
	return s
}

func (s *server) Snapshot(context.Context, string) (*Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.snap
	return &out, nil
}

func (s *server) Revisions(context.Context, string) ([]Revision, error) { return s.revs, nil }

func (s *server) Update(_ context.Context, snap *Snapshot, change Change) (*Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		s.before(&s.snap)
	}
	if snap.Version != s.snap.Version {
		return nil, fault.New(fault.Conflict, "test", "service/hello", "version %s is not %s", snap.Version, s.snap.Version)
	}
	if change.Split != nil {
		s.snap.Spec = change.Split
	}
	s.snap.Annotations = change.ApplyTo(s.snap.Annotations)
	s.snap.Generation++
	s.writes++
	bump(&s.snap)
	close(s.changed)
	s.changed = make(chan struct{})
	out := s.snap
	return &out, nil
}

// observe lets the route take up the spec, as the controller does.
func (s *server) observe(change func(*Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.snap)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) WatchService(ctx context.Context, _ string, visit func(*Snapshot) (bool, error)) error {
	for {
		s.mu.Lock()
		now, changed := s.snap, s.changed
		s.mu.Unlock()
		if done, err := visit(&now); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (s *server) Unreachable() error { return s.away }

func bump(s *Snapshot) {
	n, _ := strconv.Atoi(s.Version)
	s.Version = strconv.Itoa(n + 1)
}

func TestSetWritesOnce(t *testing.T) {
	s := newServer(Split{{Latest: true, Percent: 100}})
	var previewed string
	result, err := Set(t.Context(), s, "hello", Edit{{"v1", 50}, {"v2", 50}}, Options{Now: clock, Preview: func(r Result) error {
		previewed = r.Next.String()
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := Split{{Revision: "hello-v1", Percent: 50}, {Revision: "hello-v2", Percent: 50}}
	if diff := cmp.Diff(want, result.After.Spec); diff != "" {
		t.Error(diff)
	}
	if previewed != want.String() {
		t.Errorf("previewed %q", previewed)
	}
	past, err := History(s.snap.Annotations[HistoryKey])
	if err != nil || len(past) != 1 || !past[0].Split.Equal(Split{{Latest: true, Percent: 100}}) {
		t.Errorf("history: %v, %v", past, err)
	}
	again, err := Set(t.Context(), s, "hello", Edit{{"v1", 50}, {"v2", 50}}, Options{Now: clock})
	if err != nil || again.After != nil || s.writes != 1 {
		t.Errorf("the same again: %+v, %v, %d writes", again.After, err, s.writes)
	}
}

func TestSetDryRunAndRefusedPreviewWriteNothing(t *testing.T) {
	s := newServer(Split{{Latest: true, Percent: 100}})
	result, err := Set(t.Context(), s, "hello", Edit{{"v1", 100}}, Options{DryRun: true})
	if err != nil || len(result.Changes) != 2 || s.writes != 0 {
		t.Errorf("%v, %v, %d writes", result.Changes, err, s.writes)
	}
	no := errors.New("no")
	_, err = Set(t.Context(), s, "hello", Edit{{"v1", 100}}, Options{Preview: func(Result) error { return no }})
	if !errors.Is(err, no) || s.writes != 0 {
		t.Errorf("%v, %d writes", err, s.writes)
	}
}

func TestSetTriesAgainWhenTheSplitIsUntouched(t *testing.T) {
	s := newServer(Split{{Latest: true, Percent: 100}})
	touched := 0
	s.before = func(snap *Snapshot) {
		if touched++; touched <= 3 { // an annotation, a status, an env var: not the split
			bump(snap)
		}
	}
	_, err := Set(t.Context(), s, "hello", Edit{{"v1", 100}}, Options{Now: clock})
	if err != nil || s.writes != 1 || touched != 4 {
		t.Errorf("%v, %d writes, %d tries", err, s.writes, touched)
	}
}

func TestSetStopsWhenTheSplitWasChanged(t *testing.T) {
	s := newServer(Split{{Latest: true, Percent: 100}})
	s.before = func(snap *Snapshot) {
		snap.Spec = Split{{Revision: "hello-v3", Percent: 100}}
		bump(snap)
	}
	_, err := Set(t.Context(), s, "hello", Edit{{"v1", 100}}, Options{Now: clock})
	checkFault(t, "changed", err, fault.Conflict, "@latest 100 % → 0 %, hello-v3 0 % → 100 %", "its split is now hello-v3=100")
	if s.writes != 0 {
		t.Errorf("%d writes over somebody else's split", s.writes)
	}
}

func TestSetIfGeneration(t *testing.T) {
	s := newServer(Split{{Latest: true, Percent: 100}})
	_, err := Set(t.Context(), s, "hello", Edit{{"v1", 100}}, Options{IfGeneration: 7})
	checkFault(t, "generation", err, fault.Conflict, "its generation is 1, expected 7", "@latest=100")
}

func TestSetGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(Split{{Latest: true, Percent: 100}})
		s.before = bump
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := Set(ctx, s, "hello", Edit{{"v1", 100}}, Options{Now: clock})
		checkFault(t, "storm", err, fault.Timeout, "others kept changing the service", "nothing was changed")
	})
}

// Of many absolute edits that all expect the same generation, exactly one may
// win, however they interleave.
func TestOneWinnerPerGeneration(t *testing.T) {
	defer goleak.VerifyNone(t)
	for round := range 50 {
		s := newServer(Split{{Latest: true, Percent: 100}})
		var wg sync.WaitGroup
		results := make([]error, 16)
		for i := range results {
			wg.Go(func() {
				_, results[i] = Set(context.Background(), s, "hello", Edit{{"v1", i + 1}, {"v2", 99 - i}}, Options{Now: clock, IfGeneration: 1})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else if fault.KindOf(err) != fault.Conflict {
				t.Fatal(err)
			}
		}
		if won != 1 || s.writes != 1 {
			t.Fatalf("round %d: %d winners, %d writes", round, won, s.writes)
		}
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(Split{{Latest: true, Percent: 100}})
		result, err := Set(t.Context(), s, "hello", Edit{{"v1", 50}, {"v2", 50}}, Options{Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		done := make(chan error, 1)
		go func() {
			_, err := Await(t.Context(), s, result.After, func(why string) { told = append(told, why) })
			done <- err
		}()
		steps := []func(*Snapshot){
			func(s *Snapshot) { s.ObservedGeneration = s.Generation },
			func(s *Snapshot) {
				s.Routed, s.RoutedReason, s.RoutedMessage = Unknown, "IngressNotConfigured", "Ingress has not yet been reconciled."
			},
			func(s *Snapshot) { s.Routed, s.RoutedReason, s.Observed = Ready, "", s.Spec },
		}
		for _, step := range steps {
			synctest.Wait()
			s.observe(step)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := []string{
			"not yet seen by the controller",
			"the ingress still has @latest=100",
			"IngressNotConfigured: Ingress has not yet been reconciled.",
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAwaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(Split{{Latest: true, Percent: 100}})
		result, err := Set(t.Context(), s, "hello", Edit{{"v1", 100}}, Options{Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = Await(ctx, s, result.After, nil)
		checkFault(t, "deadline", err, fault.Timeout, "the split is written, and the route has not taken it up", "traffic show hello")

		s.away = fault.New(fault.Transient, "test", "https://server", "it has not answered").WithHint("look after it")
		_, err = Await(ctx, s, result.After, nil)
		checkFault(t, "no answer", err, fault.Timeout, "https://server: it has not answered", "look after it")
		s.away = nil

		interrupted, stop := context.WithCancel(t.Context())
		stop()
		_, err = Await(interrupted, s, result.After, nil)
		checkFault(t, "interrupt", err, fault.Partial, "the split is written", "traffic show hello")

		s.observe(func(s *Snapshot) { s.Spec, s.Generation = Split{{Latest: true, Percent: 100}}, s.Generation+1 })
		_, err = Await(t.Context(), s, result.After, nil)
		checkFault(t, "overwritten", err, fault.Conflict, "hello-v1 100 % → 0 %", "the split was written, and then changed")
	})
}

func TestTextOfASplit(t *testing.T) {
	s := Split{{Revision: "a", Percent: 1}, {Latest: true, Percent: 99, Tag: "t"}}
	if got := fmt.Sprint(s); got != "a=1 @latest(t)=99" {
		t.Error(got)
	}
}
