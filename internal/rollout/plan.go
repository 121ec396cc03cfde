// Package rollout moves the traffic of a service to a revision step by step, and
// back when the revision does worse than it may. It needs no controller: the steps
// are taken by whoever calls Run, and what others need to know stands in an
// annotation of the service.
//
// What is decided is decided by pure functions over samples (Judge, Meter, Plan);
// Run reads, decides and writes. It knows no cluster: splits come from a
// traffic.Store, and how a revision does from a Source.
package rollout

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Plan says how a rollout proceeds.
type Plan struct {
	Steps    []int         // shares of the candidate in percent, ascending
	Interval time.Duration // how long each step is watched at least
	// Patience is how long a step may take. One that has not seen enough requests by
	// then has failed: what nobody has used is not known to work.
	Patience time.Duration
	Limits   Limits
}

// Limits are what the candidate has to keep to at each step.
type Limits struct {
	MinRequests  int           // answered by the candidate, before anything passes
	MaxErrorRate float64       // share of answers with a status of 500 and above
	MaxP95       time.Duration // 0: no limit
	MaxRestarts  int           // of the candidate's containers, over the whole rollout

	// Compared with the stable revision, where that had MinRequests too.
	MaxErrorIncrease float64 // by how much the error rate may be higher; negative: no limit
	MaxSlowdown      float64 // by how much the p95 may be longer, 0.5 being half as long again; negative: no limit
}

// Defaults returns the plan that is followed where nothing else is asked for.
func Defaults() Plan {
	return Plan{
		Steps: []int{10, 50, 100}, Interval: 30 * time.Second, Patience: 5 * time.Minute,
		Limits: Limits{MinRequests: 20, MaxErrorRate: 0.01, MaxErrorIncrease: 0.01, MaxSlowdown: 1},
	}
}

// ParseSteps reads "10,50,100", also with percent signs and spaces.
func ParseSteps(text string) ([]int, error) {
	var out []int
	for _, part := range strings.Split(text, ",") {
		number := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(part), "%"))
		n, err := strconv.Atoi(number)
		switch {
		case err != nil:
			return nil, fault.Usagef("%q is not a share in percent", strings.TrimSpace(part)).WithHint("steps are whole numbers from 1 to 100, e.g. 10,50,100")
		case n < 1 || n > 100:
			return nil, fault.Usagef("a step of %d %%: steps are from 1 to 100", n)
		case len(out) > 0 && n <= out[len(out)-1]:
			return nil, fault.Usagef("step %d comes after step %d: steps ascend", n, out[len(out)-1])
		}
		out = append(out, n)
	}
	return out, nil
}

// ParseRate reads a share of requests: "1%", "0.5 %", or "0.01".
func ParseRate(text string) (float64, error) {
	n, err := ParseFactor(text)
	if err != nil || n > 1 {
		return 0, fault.Usagef("%q is not a share of requests", text).WithHint("write it in percent, e.g. 1%% or 0.5%%; 0%% allows no error at all")
	}
	return n, nil
}

// ParseFactor is ParseRate without a bound: 150% and 1.5.
func ParseFactor(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		n /= 100
	}
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
		return 0, fault.Usagef("%q is not a share", text).WithHint("write it in percent, e.g. 50%%")
	}
	return n, nil
}

// Check refuses a plan that cannot be followed.
func (p Plan) Check() error {
	switch {
	case len(p.Steps) == 0:
		return fault.Usagef("a rollout has at least one step")
	case p.Steps[0] < 1 || p.Steps[len(p.Steps)-1] > 100 || !slices.IsSorted(p.Steps):
		return fault.Usagef("the steps %v do not ascend from 1 to 100", p.Steps)
	case p.Interval <= 0:
		return fault.Usagef("the interval is %s: it has to be longer than 0", p.Interval)
	case p.Patience < p.Interval:
		return fault.Usagef("a step may take %s, which is less than the interval of %s", p.Patience, p.Interval)
	case p.Limits.MinRequests < 1:
		return fault.Usagef("at least one request has to be answered at each step, not %d", p.Limits.MinRequests).
			WithHint("a revision that nobody has used is not known to work; `kn-lite traffic split` moves traffic without looking")
	case p.Limits.MaxP95 < 0:
		return fault.Usagef("a p95 of %s: it cannot be negative", p.Limits.MaxP95)
	case p.Limits.MaxRestarts < 0:
		return fault.Usagef("%d restarts: the number cannot be negative", p.Limits.MaxRestarts)
	}
	return nil
}

// Poll returns how often a step looks at the candidate.
func (p Plan) Poll() time.Duration {
	return min(max(p.Interval/10, 250*time.Millisecond), 5*time.Second)
}

// refresh returns how long what is shown of a step may stay as it is: about ten lines for
// its interval, and ten more for its patience, where each is a line of a log.
func (p Plan) refresh(elapsed time.Duration) time.Duration {
	if elapsed > p.Interval {
		return max(p.Interval, p.Patience) / 10
	}
	return p.Interval / 10
}

// from returns the plan without the steps below a share that the candidate has
// already: a rollout never takes traffic away from it while it does well.
func (p Plan) from(share int) Plan {
	p.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(step int) bool { return step < share })
	return p
}
