package rollout

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// served returns totals of n requests, some of which failed, which all took so long.
func served(n, failed float64, took time.Duration) Totals {
	t := Totals{Served: n - failed, Failed: failed, Buckets: map[float64]float64{}}
	for _, bound := range probeBounds() {
		t.Buckets[bound] = 0
		if took.Seconds() <= bound {
			t.Buckets[bound] = n
		}
	}
	return t
}

// mixed returns totals of requests of which some took 5 ms and some 400 ms.
func mixed(fast, slow float64) Totals {
	t := served(fast, 0, 5*time.Millisecond)
	for bound, n := range served(slow, 0, 400*time.Millisecond).Buckets {
		t.Buckets[bound] += n
	}
	t.Served += slow
	return t
}

func TestJudge(t *testing.T) {
	const ms = time.Millisecond
	plan := Defaults()
	strict := plan
	strict.Limits.MaxP95, strict.Limits.MaxRestarts = 300*ms, 1
	late := plan.Patience
	for _, tt := range []struct {
		name   string
		plan   Plan
		window Window
		want   Outcome
		gate   string
		text   string
	}{
		{"good", plan, Window{Elapsed: plan.Interval, Candidate: served(100, 0, 5*ms), Stable: served(900, 0, 5*ms)}, Pass, "", ""},
		{"as bad as the stable one, within the limit", plan, Window{Elapsed: plan.Interval, Candidate: served(1000, 9, 5*ms), Stable: served(900, 8, 5*ms)}, Pass, "", ""},
		{"too early", plan, Window{Elapsed: plan.Interval - 1, Candidate: served(100, 0, 5*ms)}, Wait, "requests", "100 requests"},
		{"too few", plan, Window{Elapsed: plan.Interval, Candidate: served(19, 0, 5*ms)}, Wait, "requests", "19 of 20 requests"},
		{"one error of few is not certain", plan, Window{Elapsed: plan.Interval, Candidate: served(10, 1, 5*ms)}, Wait, "requests", "10 of 20"},
		{"no traffic", plan, Window{Elapsed: late}, Fail, "requests", "0 of 20 requests within 5m0s"},
		{"cannot be counted", plan, Window{Elapsed: late, Candidate: served(100, 0, 5*ms), Silent: "connection refused"}, Fail, "requests", "connection refused"},
		{"cannot be counted yet", plan, Window{Elapsed: late - 1, Candidate: served(100, 0, 5*ms), Silent: "connection refused"}, Wait, "requests", "connection refused"},
		{"5 % errors, at once", plan, Window{Elapsed: time.Second, Candidate: served(100, 5, 5*ms)}, Fail, "error-rate", "5 of 100 requests (5 %) failed, and 1 % is the most"},
		{"a few of few, at once", plan, Window{Elapsed: time.Second, Candidate: served(5, 3, 5*ms)}, Fail, "error-rate", "3 of 5"},
		{"2 % errors, at the end", plan, Window{Elapsed: plan.Interval, Candidate: served(50, 1, 5*ms)}, Fail, "error-rate", "1 of 50"},
		{"worse than a stable one", with(plan, func(l *Limits) { l.MaxErrorRate = 0.1 }), Window{Elapsed: plan.Interval, Candidate: served(100, 5, 5*ms), Stable: served(900, 0, 5*ms)}, Fail, "error-rate", "0 % of the stable"},
		{"the stable one has the same trouble", with(plan, func(l *Limits) { l.MaxErrorRate = 0.1 }), Window{Elapsed: plan.Interval, Candidate: served(100, 5, 5*ms), Stable: served(900, 45, 5*ms)}, Pass, "", ""},
		{"the stable one has too little to compare", with(plan, func(l *Limits) { l.MaxErrorRate = 0.1 }), Window{Elapsed: plan.Interval, Candidate: served(100, 5, 5*ms), Stable: served(3, 0, 5*ms)}, Pass, "", ""},
		{"too slow", strict, Window{Elapsed: plan.Interval, Candidate: served(100, 0, 320*ms)}, Fail, "p95", "and 300ms is the most"},
		{"no times, and a limit for them", strict, Window{Elapsed: plan.Interval, Candidate: Totals{Served: 100}}, Wait, "requests", "the time of 0 of 20"},
		{"no times to the end", strict, Window{Elapsed: late, Candidate: Totals{Served: 100}}, Fail, "requests", "the time of 0 of 20"},
		{"no times, and no limit", plan, Window{Elapsed: plan.Interval, Candidate: Totals{Served: 100}, Stable: served(100, 0, ms)}, Pass, "", ""},
		{"300 ms slower than the stable one", plan, Window{Elapsed: plan.Interval, Candidate: served(100, 0, 305*ms), Stable: served(900, 0, 5*ms)}, Fail, "p95", "the stable revision's"},
		{"slower by less than can be told", plan, Window{Elapsed: plan.Interval, Candidate: served(100, 0, 30*ms), Stable: served(900, 0, 2*ms)}, Pass, "", ""},
		{"one of twenty was slow, which is chance", plan, Window{Elapsed: plan.Interval, Candidate: mixed(19, 1), Stable: served(900, 0, 5*ms)}, Pass, "", ""},
		{"so were two", plan, Window{Elapsed: plan.Interval, Candidate: mixed(18, 2), Stable: served(900, 0, 5*ms)}, Pass, "", ""},
		{"three of twenty are no chance", plan, Window{Elapsed: plan.Interval, Candidate: mixed(17, 3), Stable: served(900, 0, 5*ms)}, Fail, "p95", "100 % longer is the most"},
		{"one in ten is slow", plan, Window{Elapsed: plan.Interval, Candidate: mixed(180, 20), Stable: served(900, 0, 5*ms)}, Fail, "p95", "the stable revision's"},
		{"the stable one is as uneven", plan, Window{Elapsed: plan.Interval, Candidate: mixed(180, 20), Stable: mixed(900, 100)}, Pass, "", ""},
		{"both slower than can be measured", plan, Window{Elapsed: plan.Interval, Candidate: served(100, 0, time.Hour), Stable: served(900, 0, time.Hour)}, Pass, "", ""},
		{"slower by less than a limit beyond all time", with(plan, func(l *Limits) { l.MaxSlowdown = 1e18 }), Window{Elapsed: plan.Interval, Candidate: served(100, 0, 305*ms), Stable: served(900, 0, 5*ms)}, Pass, "", ""},
		{"slower, and nobody minds", with(plan, func(l *Limits) { l.MaxSlowdown = -1 }), Window{Elapsed: plan.Interval, Candidate: served(100, 0, 305*ms), Stable: served(900, 0, 5*ms)}, Pass, "", ""},
		{"restarted", strict, Window{Candidate: served(100, 0, 5*ms), Restarts: 2}, Fail, "restarts", "restarted 2 times, and 1 is the most"},
		{"restarted once", strict, Window{Elapsed: plan.Interval, Candidate: served(100, 0, 5*ms), Restarts: 1}, Pass, "", ""},
		{"not ready any more", plan, Window{Elapsed: plan.Interval, Candidate: served(100, 0, 5*ms), Unready: "ContainerMissing"}, Fail, "ready", "ContainerMissing"},
	} {
		got := Judge(tt.plan, tt.window)
		if got.Outcome != tt.want || got.Gate != tt.gate || !strings.Contains(got.Reason, tt.text) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func with(plan Plan, change func(*Limits)) Plan {
	change(&plan.Limits)
	return plan
}

// Nothing passes on too little; what has passed would have passed with fewer errors.
func TestJudgeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := Defaults()
		plan.Limits.MinRequests = rapid.IntRange(1, 100).Draw(t, "least")
		plan.Limits.MaxErrorRate = rapid.Float64Range(0, 1).Draw(t, "rate")
		n := float64(rapid.IntRange(0, 300).Draw(t, "requests"))
		errors := float64(rapid.IntRange(0, int(n)).Draw(t, "errors"))
		took := time.Duration(rapid.IntRange(1, 5000).Draw(t, "took")) * time.Millisecond
		w := Window{
			Elapsed: time.Duration(rapid.IntRange(0, 600).Draw(t, "elapsed")) * time.Second, Candidate: served(n, errors, took),
			Stable: served(float64(rapid.IntRange(0, 300).Draw(t, "stable")), 0, 10*time.Millisecond),
		}
		v := Judge(plan, w)
		if v.Outcome == Pass && (n < float64(plan.Limits.MinRequests) || w.Elapsed < plan.Interval || w.Candidate.ErrorRate() > plan.Limits.MaxErrorRate) {
			t.Fatalf("%+v passes %+v", w, plan.Limits)
		}
		if v.Outcome != Pass && v.Reason == "" {
			t.Fatalf("no reason for %+v", v)
		}
		if w.Elapsed >= plan.Patience && v.Outcome == Wait {
			t.Fatalf("still waiting after %s", w.Elapsed)
		}
		if errors > 0 && v.Outcome == Pass {
			better := w
			better.Candidate = served(n, errors-1, took)
			if Judge(plan, better).Outcome != Pass {
				t.Fatalf("%v errors pass, and one less does not", errors)
			}
		}
		if v.Outcome == Fail && v.Gate == "error-rate" && w.Candidate.ErrorRate() <= min(plan.Limits.MaxErrorRate, plan.Limits.MaxErrorIncrease) {
			t.Fatalf("failed with %v of %v", errors, n)
		}
	})
}

func TestParseStepsAndRates(t *testing.T) {
	for text, want := range map[string][]int{"10,50,100": {10, 50, 100}, " 5% , 100 %": {5, 100}, "100": {100}} {
		got, err := ParseSteps(text)
		if err != nil || len(got) != len(want) || got[0] != want[0] {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "10,", "0,100", "50,50", "50,10", "10,101", "x", "1.5", "-1"} {
		if got, err := ParseSteps(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
	for text, want := range map[string]float64{"1%": 0.01, "0.5 %": 0.005, "0.01": 0.01, "0": 0, "100%": 1} {
		if got, err := ParseRate(text); err != nil || math.Abs(got-want) > 1e-9 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "%", "5", "101%", "-1%", "NaN", "x"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
