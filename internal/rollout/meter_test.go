package rollout

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMeterSurvivesRestartsAndPodsThatGo(t *testing.T) {
	var m Meter
	read := func(values map[string]float64) {
		var points []Point
		for series, v := range values {
			points = append(points, Point{Series: series, Revision: "fn-v2", Quantity: Served, Value: v})
		}
		m.Add(points)
	}
	read(map[string]float64{"a": 100})         // from before
	read(map[string]float64{"a": 110, "b": 5}) // b has come
	read(map[string]float64{"b": 8})           // a has gone
	read(map[string]float64{"b": 2})           // b has begun again
	read(nil)                                  // nothing can be read for a moment
	read(map[string]float64{"b": 3, "a": 110})
	if got := m.Totals("fn-v2").Served; got != 10+5+3+2+1 {
		t.Errorf("%v requests counted, want 21", got)
	}
	if got := m.Totals("fn-v1").Requests(); got != 0 {
		t.Errorf("%v requests of another revision", got)
	}
}

// Whatever counters do between two readings, what they have grown by is counted once.
func TestMeterCountsWhatCountersHaveGrownBy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Meter
		counters, want := map[string]float64{"a": 70}, 0.0
		m.Add([]Point{{Series: "a", Revision: "r", Quantity: Failed, Value: 70}})
		for range rapid.IntRange(1, 30).Draw(t, "readings") {
			var points []Point
			for _, series := range []string{"a", "b"} {
				n := float64(rapid.IntRange(1, 50).Draw(t, "growth"))
				switch event := rapid.SampledFrom([]string{"grows", "begins again", "is away"}).Draw(t, series); {
				case event == "is away":
					continue
				case event == "begins again" && n < counters[series]:
					counters[series] = 0 // to be seen by its value
				}
				counters[series] += n
				want += n
				points = append(points, Point{Series: series, Revision: "r", Quantity: Failed, Value: counters[series]})
			}
			m.Add(points)
		}
		if got := m.Totals("r"); got.Failed != want || got.Served != 0 {
			t.Fatalf("%+v, want %v failed", got, want)
		}
	})
}

func TestQuantile(t *testing.T) {
	inf := math.Inf(1)
	for _, tt := range []struct {
		name    string
		buckets map[float64]float64
		want    time.Duration
		known   bool
	}{
		{"nothing", nil, 0, false},
		{"no requests", map[float64]float64{0.1: 0, inf: 0}, 0, false},
		{"within a bucket", map[float64]float64{0.1: 90, 0.2: 100, inf: 100}, 150 * time.Millisecond, true},
		{"all in the first", map[float64]float64{0.1: 100, inf: 100}, 95 * time.Millisecond, true},
		{"beyond the last bound", map[float64]float64{0.1: 0, 1: 10, inf: 100}, time.Second, true},
	} {
		got, known := Totals{Buckets: tt.buckets}.Quantile(0.95)
		if got.Round(time.Microsecond) != tt.want || known != tt.known {
			t.Errorf("%s: %v, %v", tt.name, got, known)
		}
	}
}

// An estimate lies within the bucket that the true value lies in, and grows with q.
func TestQuantileIsWithinItsBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bounds := []float64{0.001, 0.01, 0.1, 1, math.Inf(1)}
		buckets, sum := map[float64]float64{}, 0.0
		for _, b := range bounds {
			sum += float64(rapid.IntRange(0, 100).Draw(t, "n"))
			buckets[b] = sum
		}
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		got, known := Totals{Buckets: buckets}.Quantile(q)
		if known != (sum > 0) {
			t.Fatalf("known is %v of %v requests", known, sum)
		}
		lower := 0.0
		for _, b := range bounds {
			if buckets[b] >= q*sum {
				if got < seconds(lower) || !math.IsInf(b, 1) && got > seconds(b)+time.Nanosecond {
					t.Fatalf("%v is not between %v and %v", got, lower, b)
				}
				break
			}
			lower = b
		}
		if more, _ := (Totals{Buckets: buckets}).Quantile(min(1, q*1.5)); more < got {
			t.Fatalf("%v at %v, and %v above", got, q, more)
		}
	})
}

func TestRestartsOfPodsThatAreGoneStillCount(t *testing.T) {
	var r restarts
	for _, counts := range []map[string]int{{"a": 3}, {"a": 4, "b": 1}, {"b": 1}, {"a": 4}, {}} {
		r.add(counts)
	}
	if r.total != 2 {
		t.Errorf("%d restarts, want 2", r.total)
	}
}
