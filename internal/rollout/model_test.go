package rollout

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// scenario is how a candidate does at each step, and what others do meanwhile.
type scenario struct {
	before  traffic.Split
	steps   []int
	quality []string // of each step: good, errors, slow, idle, restarts
	event   string   // "": none
	at      time.Duration
}

func drawScenario(t *rapid.T) scenario {
	s := scenario{
		before: rapid.SampledFrom([]traffic.Split{
			stable(),
			{{Revision: "fn-v1", Percent: 60}, {Revision: "fn-v2", Percent: 40, Tag: "next"}},
			{{Revision: "fn-v2", Percent: 100}, {Latest: true, Tag: "head"}},
			{{Revision: "fn-v1", Percent: 95}, {Revision: "fn-v3", Percent: 5, Tag: "next"}},
		}).Draw(t, "before"),
		event: rapid.SampledFrom([]string{"", "", "abort", "promote", "split", "deploy", "pause", "away", "rollback"}).Draw(t, "event"),
		// Between two instants at which the rollout acts: of what happens in the same one, either may be first.
		at: time.Duration(rapid.IntRange(1, 100).Draw(t, "at"))*time.Second + time.Microsecond,
	}
	for share := 0; share < 100 && len(s.steps) < 4; {
		share = rapid.IntRange(max(share+1, 5), 100).Draw(t, "step")
		s.steps = append(s.steps, share)
		s.quality = append(s.quality, rapid.SampledFrom([]string{"good", "good", "good", "good", "errors", "slow", "idle"}).Draw(t, "quality"))
	}
	return s
}

// now returns how the candidate does at the share that it has.
func (s scenario) now(split traffic.Split) string {
	i := slices.Index(s.steps, split.Percent("fn-v3", ""))
	return s.quality[max(i, 0)]
}

// passes is how many steps pass when nobody interferes.
func (s scenario) passes() int {
	for i, q := range s.quality {
		// Without a request to the stable revision there is nothing to be slower than.
		if q != "good" && (q != "slow" || s.steps[0] < 100) {
			return i
		}
	}
	return len(s.steps)
}

// play runs the scenario and returns what is wrong with how it went.
func (s scenario) play(t *testing.T) (wrong string) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(s.before)
		b.candidate(func(c *behaviour) {
			switch s.now(b.store.snap.Spec) {
			case "errors":
				c.errors = 0.05
			case "slow":
				c.took += 300 * time.Millisecond
			case "idle":
				c.rate = 0
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var theirs traffic.Split // that somebody else has written
		done := make(chan struct{})
		timer := time.AfterFunc(s.at, func() {
			defer close(done)
			theirs = s.interfere(b, cancel)
		})
		plan := Defaults()
		plan.Steps = s.steps
		state, err := b.runner.Run(ctx, Request{Service: "fn", Target: "v3", Plan: plan})
		happened := !timer.Stop()
		if happened {
			<-done
		}
		if state != nil && state.Phase == Paused {
			if got := b.store.snap.Spec; !got.Equal(state.Split()) {
				wrong = fmt.Sprintf("paused with %s, and not %s", got, state.Split())
				return
			}
			state, err = b.owner("second").Run(t.Context(), Request{Service: "fn", Plan: plan})
		}
		wrong = s.check(b, state, err, happened, theirs)
	})
	return wrong
}

// interfere does what somebody else does, and returns the split that they have left.
func (s scenario) interfere(b *bench, cancel func()) traffic.Split {
	ctx := context.Background()
	switch s.event {
	case "abort":
		_, _ = Abort(ctx, b.store, "fn", "ada", time.Now()) // it may have ended already
	case "promote":
		_, _ = Promote(ctx, b.store, "fn", "ada", time.Now())
	case "rollback":
		_, _ = Rollback{Service: "fn", By: "ada", Now: time.Now()}.Run(ctx, b.store, traffic.Options{Now: time.Now()})
	case "split":
		b.store.meddle(func(snap *traffic.Snapshot) { snap.Spec = only("fn-v2") })
		return only("fn-v2")
	case "deploy":
		b.store.meddle(func(snap *traffic.Snapshot) { snap.LatestCreated = "fn-v4" })
		return b.store.snap.Spec
	case "pause":
		cancel()
	case "away":
		until := time.Now().Add(15 * time.Second)
		b.store.mu.Lock()
		b.store.away = func(op string) error {
			if op != "update" && time.Now().Before(until) {
				return fault.New(fault.Transient, "test", "", "connection refused")
			}
			return nil
		}
		b.store.mu.Unlock()
	}
	return nil
}

// check is what holds for every end.
func (s scenario) check(b *bench, state *State, err error, happened bool, theirs traffic.Split) string {
	if state == nil {
		return fmt.Sprintf("no state: %v", err)
	}
	now, last := b.store.snap.Spec, s.steps[len(s.steps)-1]
	most := 0
	for _, split := range b.store.splits {
		most = max(most, split.Percent("fn-v3", ""))
		if split.Sum() != 100 {
			return fmt.Sprintf("%s was written", split)
		}
	}
	interfered := happened && s.event != "" && s.event != "away" && s.event != "pause"
	noted := StateOf(&b.store.snap)
	switch state.Phase {
	case Done:
		if err != nil || s.passes() < len(s.steps) || now.Percent("fn-v3", "") != last {
			return fmt.Sprintf("done with %s after %d good steps: %v", now, s.passes(), err)
		}
	case RolledBack, Aborted:
		if fault.KindOf(err) != fault.RolledBack || !now.Equal(s.before) || b.store.snap.Annotations[traffic.HistoryKey] != "" {
			return fmt.Sprintf("%s with %s, history %q: %v", state.Phase, now, b.store.snap.Annotations[traffic.HistoryKey], err)
		}
		if state.Phase == RolledBack && s.passes() == len(s.steps) {
			return fmt.Sprintf("a good candidate is rolled back: %v", err)
		}
	case Promoted:
		if err != nil || now.Percent("fn-v3", "") != last {
			return fmt.Sprintf("promoted with %s: %v", now, err)
		}
	case Superseded:
		if fault.KindOf(err) != fault.Conflict || !now.Equal(theirs) {
			return fmt.Sprintf("superseded with %s, and theirs was %s: %v", now, theirs, err)
		}
	default:
		return fmt.Sprintf("it ends %s: %v", state.Phase, err)
	}
	// What is read is noted, and no step was taken that its predecessor had not earned.
	if noted == nil || noted.Phase != state.Phase && !interfered {
		return fmt.Sprintf("noted %+v, and it is %s", noted, state.Phase)
	}
	if reached := s.steps[min(s.passes(), len(s.steps)-1)]; !interfered && most > reached {
		return fmt.Sprintf("the candidate had %d %%, and had earned %d %%", most, reached)
	}
	if !interfered && (state.Phase == Done) != (s.passes() == len(s.steps)) {
		return fmt.Sprintf("it is %s after %d good steps of %d", state.Phase, s.passes(), len(s.steps))
	}
	return ""
}

// However a candidate does and whatever others do: it gets no more than it has earned,
// and every end leaves what it says.
func TestRolloutsAgainstAModel(t *testing.T) {
	rounds := 2
	if os.Getenv("FULL") == "1" {
		rounds = 20 // of a hundred each
	}
	for range rounds {
		rapid.Check(t, func(rt *rapid.T) {
			s := drawScenario(rt)
			if wrong := s.play(t); wrong != "" {
				rt.Fatalf("%+v: %s", s, wrong)
			}
		})
	}
}
