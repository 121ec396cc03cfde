package backoff

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestDelay(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name   string
		policy Policy
		want   []time.Duration
	}{
		{"doubling to a bound", Policy{First: 10 * ms, Max: 60 * ms}, []time.Duration{10 * ms, 20 * ms, 40 * ms, 60 * ms, 60 * ms}},
		{"slower growth", Policy{First: 100 * ms, Max: time.Second, Factor: 1.25}, []time.Duration{100 * ms, 125 * ms, 156250 * time.Microsecond}},
		{"equal", Policy{First: 5 * ms, Max: time.Second, Factor: 1}, []time.Duration{5 * ms, 5 * ms, 5 * ms}},
		{"no bound given", Policy{First: 5 * ms}, []time.Duration{5 * ms, 5 * ms}},
		{"nothing", Policy{}, []time.Duration{0, 0, 0}},
	} {
		b := New(tt.policy)
		var got []time.Duration
		for range tt.want {
			got = append(got, b.Next())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if b.Reset(); b.Next() != tt.want[0] {
			t.Errorf("%s: no first pause after a reset", tt.name)
		}
	}
}

// However often something failed, a pause is within its bounds.
func TestDelayIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{
			First:  time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "first")),
			Max:    time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "max")),
			Factor: rapid.Float64Range(1, 100).Draw(t, "factor"),
			Jitter: rapid.Float64Range(0, 1).Draw(t, "jitter"),
		}
		n := rapid.IntRange(0, math.MaxInt).Draw(t, "n")
		d := p.Delay(n)
		if least := time.Duration(float64(p.First) * (1 - p.Jitter)); d < least-time.Microsecond || d > max(p.Max, p.First) {
			t.Fatalf("%+v after try %d: %v", p, n, d)
		}
	})
}

func TestJitterSpreads(t *testing.T) {
	p := Policy{First: time.Second, Max: time.Second, Jitter: 0.5}
	seen := map[time.Duration]bool{}
	for range 100 {
		d := p.Delay(3)
		if d < 500*time.Millisecond || d > time.Second {
			t.Fatalf("%v", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("a hundred pauses of %d lengths", len(seen))
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, begin := New(Policy{First: time.Second, Max: 3 * time.Second}), time.Now()
		for _, want := range []time.Duration{time.Second, 3 * time.Second, 6 * time.Second, 9 * time.Second} {
			if err := b.Wait(t.Context()); err != nil || time.Since(begin) != want {
				t.Errorf("after %v, %v; want %v", time.Since(begin), err, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		if err := b.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("beyond the deadline: %v after %v", err, time.Since(begin))
		}
		if err := Sleep(ctx, 0); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, begin, calls := Policy{First: time.Second, Max: time.Minute}, time.Now(), 0
		err := p.Poll(t.Context(), func() (bool, error) { calls++; return calls == 4, nil })
		if err != nil || calls != 4 || time.Since(begin) != 7*time.Second {
			t.Errorf("%v after %d calls and %v", err, calls, time.Since(begin))
		}
		broken := errors.New("broken")
		if err := p.Poll(t.Context(), func() (bool, error) { return false, broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		if err := p.Poll(ctx, func() (bool, error) { return false, nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
