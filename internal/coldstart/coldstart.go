// Package coldstart turns what was seen of cold starts into phases and figures, and
// holds these against a budget. It measures nothing itself.
package coldstart

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Phase is a part of a cold start.
type Phase string

// The phases, in their order.
const (
	Activate Phase = "activate" // from the request to the pod: ingress, activator, autoscaler
	Schedule Phase = "schedule" // to its node
	Pull     Phase = "pull"     // of the image, as the kubelet says
	Start    Phase = "start"    // the rest until the container runs
	Ready    Phase = "ready"    // until its pod is ready
	Answer   Phase = "answer"   // until the first byte of the answer
)

// Phases lists them in their order.
func Phases() []Phase { return []Phase{Activate, Schedule, Pull, Start, Ready, Answer} }

// Marks are the moments of one cold start, all by one clock. One that was not seen
// is zero; its time belongs to the phase that ends next.
type Marks struct {
	Asked     time.Time
	Created   time.Time // the pod
	Scheduled time.Time
	Started   time.Time // the container that gets the requests
	Ready     time.Time // the pod
	Answered  time.Time // the first byte
	Pull      time.Duration
}

// Round is one cold start. Its phases sum to its total.
type Round struct {
	Total  time.Duration
	Phases map[Phase]time.Duration
}

// NewRound returns the phases between marks. A state that was reported only after
// the answer ends with the answer.
func NewRound(m Marks) Round {
	r := Round{Total: m.Answered.Sub(m.Asked), Phases: map[Phase]time.Duration{}}
	last := m.Asked
	until := func(phase Phase, at time.Time) {
		if at.IsZero() {
			return
		}
		if at.After(m.Answered) {
			at = m.Answered
		}
		if at.Before(last) {
			at = last
		}
		r.Phases[phase] = at.Sub(last)
		last = at
	}
	until(Activate, m.Created)
	until(Schedule, m.Scheduled)
	until(Start, m.Started)
	if pull := min(m.Pull, r.Phases[Start]); pull > 0 {
		r.Phases[Pull] = pull
		r.Phases[Start] -= pull
	}
	until(Ready, m.Ready)
	until(Answer, m.Answered)
	return r
}

// Figures are those of several durations.
type Figures struct{ sorted []time.Duration }

// NewFigures returns the figures of durations.
func NewFigures(all []time.Duration) Figures { return Figures{slices.Sorted(slices.Values(all))} }

// Quantile returns the smallest duration that is not exceeded by this percentage of
// all: of five rounds p95 is the longest. 0 of none.
func (f Figures) Quantile(percent int) time.Duration {
	if len(f.sorted) == 0 {
		return 0
	}
	rank := (percent*len(f.sorted) + 99) / 100
	return f.sorted[min(max(rank, 1), len(f.sorted))-1]
}

// Mean returns the average; 0 of none.
func (f Figures) Mean() time.Duration {
	if len(f.sorted) == 0 {
		return 0
	}
	var sum time.Duration
	for _, d := range f.sorted {
		sum += d
	}
	return sum / time.Duration(len(f.sorted))
}

// Totals returns the figures of the rounds' totals.
func Totals(rounds []Round) Figures {
	all := make([]time.Duration, len(rounds))
	for i, r := range rounds {
		all[i] = r.Total
	}
	return NewFigures(all)
}

// OfPhase returns the figures of one phase in the rounds in which it was seen.
func OfPhase(rounds []Round, p Phase) Figures {
	var all []time.Duration
	for _, r := range rounds {
		if d, seen := r.Phases[p]; seen {
			all = append(all, d)
		}
	}
	return NewFigures(all)
}

// Limit is the most that one figure of the totals may be.
type Limit struct {
	Figure string // p1 to p100, median, mean or max
	Most   time.Duration
}

// Value returns the figure that a limit is about.
func (l Limit) Value(f Figures) time.Duration {
	switch l.Figure {
	case "mean":
		return f.Mean()
	case "median":
		return f.Quantile(50)
	case "max":
		return f.Quantile(100)
	}
	return f.Quantile(percentOf(l.Figure))
}

// percentOf is N of pN; 0 for what is no such figure.
func percentOf(figure string) int {
	digits, ok := strings.CutPrefix(figure, "p")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > 100 || digits != strconv.Itoa(n) {
		return 0
	}
	return n
}

// ParseBudget reads limits such as p95=1.5s. Every error is a fault.Usage.
func ParseBudget(all []string) ([]Limit, error) {
	var out []Limit
	for _, text := range all {
		figure, most, found := strings.Cut(text, "=")
		known := percentOf(figure) > 0 || slices.Contains([]string{"median", "mean", "max"}, figure)
		d, err := time.ParseDuration(most)
		switch {
		case !found, !known:
			return nil, budgetFault(text, "it names no figure").WithHint("p50, p95, any other pN, median, mean or max, e.g. p95=1.5s")
		case err != nil, d <= 0, d == math.MaxInt64:
			return nil, budgetFault(text, "%q is not a duration", most).WithHint("e.g. p95=1.5s or max=800ms")
		}
		if slices.ContainsFunc(out, func(l Limit) bool { return l.Figure == figure }) {
			return nil, budgetFault(text, "%s is named twice", figure)
		}
		out = append(out, Limit{figure, d})
	}
	return out, nil
}

func budgetFault(text, format string, args ...any) *fault.Error {
	return fault.New(fault.Usage, "coldstart.budget", "budget "+text, format, args...)
}
