package traffic

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// VerifyLevel is the level of significance of Fit: of samples that do follow a split, one
// in a hundred is taken for one that does not.
const VerifyLevel = 0.01

// SampleSize is how many requests it takes to judge a split: so many that each
// revision is expected to get five, which the test wants, and 200 at least.
func SampleSize(want Split) int {
	n := 200
	for _, t := range want {
		if t.Percent > 0 {
			n = max(n, (500+t.Percent-1)/t.Percent)
		}
	}
	return n
}

// Sample is how many requests each revision has answered.
type Sample map[string]int

// Fit is how well a sample follows a split: Pearson's chi-square test.
type Fit struct {
	Requests  int
	ChiSquare float64
	P         float64 // of a sample that is off by at least as much, if the split is what is wanted
}

// Good reports whether the sample may have come from the split.
func (f Fit) Good() bool { return f.Requests > 0 && f.P >= VerifyLevel }

// Fit compares the sample with shares by revision. A request to a revision that should
// get none does not fit at all.
func (s Sample) Fit(want Split) Fit {
	share := make(map[string]int)
	for _, t := range want {
		share[t.Revision] += t.Percent
	}
	fit := Fit{P: 1}
	for _, n := range s {
		fit.Requests += n
	}
	if fit.Requests == 0 {
		return fit
	}
	degrees := -1
	for revision, percent := range share {
		if percent == 0 {
			continue
		}
		degrees++
		expected := float64(fit.Requests*percent) / 100
		off := float64(s[revision]) - expected
		fit.ChiSquare += off * off / expected
	}
	for revision, n := range s {
		if n > 0 && share[revision] == 0 {
			fit.P = 0
			return fit
		}
	}
	if degrees > 0 {
		fit.P = chiSquareTail(fit.ChiSquare, degrees)
	}
	return fit
}

// chiSquareTail is the probability of a value of at least x with so many degrees of
// freedom, by Wilson and Hilferty's approximation: good to a thousandth where it matters.
func chiSquareTail(x float64, degrees int) float64 {
	k := float64(degrees)
	z := (math.Cbrt(x/k) - (1 - 2/(9*k))) / math.Sqrt(2/(9*k))
	return math.Erfc(z/math.Sqrt2) / 2
}

// Text is the sample beside what is wanted: "hello-v1 52 of 100 (50 %)".
func (s Sample) Text(want Split) string {
	total := 0
	for _, n := range s {
		total += n
	}
	names := slices.Collect(maps.Keys(s))
	for _, t := range want {
		if t.Percent > 0 && !slices.Contains(names, t.Revision) {
			names = append(names, t.Revision)
		}
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d of %d (%s)", name, s[name], total, percent(want.Percent(name, "")))
	}
	return strings.Join(names, ", ")
}
