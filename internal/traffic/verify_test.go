package traffic

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The critical values that every table has.
func TestChiSquareTail(t *testing.T) {
	for _, tt := range []struct {
		degrees int
		x, want float64
	}{
		{1, 3.841, 0.05}, {1, 6.635, 0.01}, {2, 5.991, 0.05}, {2, 9.210, 0.01}, {3, 11.345, 0.01}, {5, 15.086, 0.01}, {10, 23.209, 0.01}, {10, 9.342, 0.5},
	} {
		if got := chiSquareTail(tt.x, tt.degrees); math.Abs(got-tt.want) > 0.003 {
			t.Errorf("%d degrees, %v: %v, want %v", tt.degrees, tt.x, got, tt.want)
		}
	}
}

func TestFit(t *testing.T) {
	half := Split{{Revision: "a", Percent: 50}, {Revision: "b", Percent: 50}}
	for _, tt := range []struct {
		name   string
		sample Sample
		want   Split
		good   bool
	}{
		{"exact", Sample{"a": 100, "b": 100}, half, true},
		{"by chance", Sample{"a": 112, "b": 88}, half, true},
		{"not by chance", Sample{"a": 130, "b": 70}, half, false},
		{"the split before", Sample{"a": 200}, half, false},
		{"all to one", Sample{"a": 200}, Split{{Revision: "a", Percent: 100}, {Revision: "b"}}, true},
		{"one request to a revision without a share", Sample{"a": 199, "b": 1}, Split{{Revision: "a", Percent: 100}}, false},
		{"a hundredth", Sample{"a": 495, "b": 5}, Split{{Revision: "a", Percent: 99}, {Revision: "b", Percent: 1}}, true},
		{"a hundredth that is a tenth", Sample{"a": 450, "b": 50}, Split{{Revision: "a", Percent: 99}, {Revision: "b", Percent: 1}}, false},
		{"nothing", nil, half, false},
	} {
		if fit := tt.sample.Fit(tt.want); fit.Good() != tt.good {
			t.Errorf("%s: %+v", tt.name, fit)
		}
	}
	if got := SampleSize(half); got != 200 {
		t.Error(got)
	}
	if got := SampleSize(Split{{Revision: "a", Percent: 99}, {Revision: "b", Percent: 1}}); got != 500 {
		t.Error(got)
	}
	if got := (Sample{"b": 3}).Text(half); got != "a 0 of 3 (50 %), b 3 of 3 (50 %)" {
		t.Error(got)
	}
}

// Of samples that follow the split about one in a hundred is refused, and of those that
// are ten percent off nearly all are.
func TestFitErrors(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	refused := func(first int) int {
		n := 0
		for range 2000 {
			s := Sample{}
			for range 500 {
				name := "b"
				if random.IntN(100) < first {
					name = "a"
				}
				s[name]++
			}
			if !s.Fit(Split{{Revision: "a", Percent: 20}, {Revision: "b", Percent: 80}}).Good() {
				n++
			}
		}
		return n
	}
	if n := refused(20); n < 5 || n > 45 {
		t.Errorf("%d of 2000 samples that fit were refused", n)
	}
	if n := refused(30); n < 1900 {
		t.Errorf("%d of 2000 samples that do not fit were refused", n)
	}
}
