package rollout

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Window is what is known of a step so far.
type Window struct {
	Elapsed   time.Duration // since the cluster routes as the step wants
	Candidate Totals        // of this step
	Stable    Totals        // of this step, or of all of them where this one has too little
	Restarts  int           // of the candidate's containers, since the rollout began
	Unready   string        // why the candidate is not ready any more; "": it is
	Silent    string        // why nothing is known of the requests; "": the figures are right
}

// Outcome is what becomes of a step.
type Outcome int

// The outcomes.
const (
	Wait Outcome = iota // not known yet
	Pass                // the next step may come
	Fail                // the candidate has to go
)

// Verdict is the outcome with what has decided it.
type Verdict struct {
	Outcome Outcome
	Gate    string // ready, restarts, error-rate, p95 or requests; "" for Pass
	Reason  string // with figures
}

const (
	// leastSlowdown is the difference of two p95 below which neither is called slower:
	// figures from buckets are no finer than that.
	leastSlowdown = 50 * time.Millisecond
	// p95 is the share of requests that latencies are compared by.
	p95 = 0.95
	// certainErrors is how many errors are no accident, however few requests there were.
	certainErrors = 3
	// confidence is the quantile of the normal distribution for 95 of 100, one-sided.
	confidence = 1.645
)

// Judge decides about a step. It is a pure function: the same window always gets the
// same verdict.
func Judge(plan Plan, w Window) Verdict {
	limits := plan.Limits
	switch {
	case w.Unready != "":
		return failed("ready", "it is not ready any more: %s", w.Unready)
	case w.Restarts > limits.MaxRestarts:
		return failed("restarts", "its containers were restarted %s, and %d is the most", times(w.Restarts), limits.MaxRestarts)
	case limits.surelyFails(w.Candidate):
		return errorRate(limits, w.Candidate)
	}
	enough := w.Candidate.Requests() >= float64(limits.MinRequests)
	timed := limits.MaxP95 == 0 || w.Candidate.Timed() >= float64(limits.MinRequests)
	if w.Elapsed >= plan.Interval && enough && timed && w.Silent == "" {
		return limits.compare(w)
	}
	reason := waitReason(limits, w, enough)
	if w.Elapsed >= plan.Patience && (!enough || !timed || w.Silent != "") {
		return failed("requests", "%s within %s, and what is not known to work does not pass", reason, plan.Patience)
	}
	return Verdict{Outcome: Wait, Gate: "requests", Reason: reason}
}

func waitReason(limits Limits, w Window, enough bool) string {
	switch {
	case w.Silent != "":
		return "its requests could not be counted: " + w.Silent
	case !enough:
		return fmt.Sprintf("it has answered %s of %d requests", number(w.Candidate.Requests()), limits.MinRequests)
	case limits.MaxP95 > 0 && w.Candidate.Timed() < float64(limits.MinRequests):
		return fmt.Sprintf("the time of %s of %d requests is known", number(w.Candidate.Timed()), limits.MinRequests)
	}
	return fmt.Sprintf("it has answered %s requests", number(w.Candidate.Requests()))
}

// compare decides about a step that has been watched for long enough.
func (l Limits) compare(w Window) Verdict {
	rate, stableRate := w.Candidate.ErrorRate(), w.Stable.ErrorRate()
	comparable := w.Stable.Requests() >= float64(l.MinRequests)
	if rate > l.MaxErrorRate {
		return errorRate(l, w.Candidate)
	}
	if comparable && l.MaxErrorIncrease >= 0 && rate-stableRate > l.MaxErrorIncrease {
		return failed("error-rate", "%s failed, %s of the stable revision's, and %s more is the most", errorsOf(w.Candidate), percent(stableRate), percent(l.MaxErrorIncrease))
	}
	took, known := w.Candidate.Quantile(p95)
	if known && l.MaxP95 > 0 && took > l.MaxP95 {
		return failed("p95", "its p95 is %s over %s requests, and %s is the most", duration(took), number(w.Candidate.Timed()), l.MaxP95)
	}
	stable, stableKnown := w.Stable.Quantile(p95)
	if stableKnown && comparable && l.MaxSlowdown >= 0 && w.Candidate.Timed() >= float64(l.MinRequests) && l.surelySlower(w.Candidate, stable) {
		return failed("p95", "its p95 is %s, the stable revision's %s, and %s longer is the most", duration(took), duration(stable), percent(l.MaxSlowdown))
	}
	return Verdict{Outcome: Pass}
}

// surelyFails reports whether the error rate is beyond the limit so clearly that no
// further request need be put at risk: there are enough of them, and chance explains
// it in fewer than one case of twenty.
func (l Limits) surelyFails(t Totals) bool {
	n, p := t.Requests(), t.ErrorRate()
	if n == 0 || p <= l.MaxErrorRate || n < float64(l.MinRequests) && t.Failed < certainErrors {
		return false
	}
	return atLeast(p, n) > l.MaxErrorRate
}

// surelySlower reports whether more requests than p95 allows took longer than the
// stable revision's p95 may grow to, and more than chance explains: of twenty, the p95
// is that of a single one.
func (l Limits) surelySlower(t Totals, stable time.Duration) bool {
	longest := max((stable + leastSlowdown).Seconds(), stable.Seconds()*(1+l.MaxSlowdown))
	return atLeast(t.ShareAbove(longest), t.Timed()) > 1-p95
}

// atLeast returns the lower end of Wilson's interval for a share p that was seen in n
// samples: in 95 of 100 cases the true share is not below it.
func atLeast(p, n float64) float64 {
	const z = confidence
	return (p + z*z/(2*n) - z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))) / (1 + z*z/n)
}

func errorRate(l Limits, t Totals) Verdict {
	return failed("error-rate", "%s failed, and %s is the most", errorsOf(t), percent(l.MaxErrorRate))
}

func failed(gate, format string, args ...any) Verdict {
	return Verdict{Outcome: Fail, Gate: gate, Reason: fmt.Sprintf(format, args...)}
}

// errorsOf is "7 of 120 requests (5.8 %)".
func errorsOf(t Totals) string {
	return fmt.Sprintf("%s of %s requests (%s)", number(t.Failed), number(t.Requests()), percent(t.ErrorRate()))
}

// Summary says how a revision did, in a few words: "120 requests, 0 % errors, p95 8ms".
func (t Totals) Summary() string {
	text := fmt.Sprintf("%s requests, %s errors", number(t.Requests()), percent(t.ErrorRate()))
	if took, known := t.Quantile(p95); known {
		text += ", p95 " + duration(took)
	}
	return text
}

func number(n float64) string { return strconv.FormatFloat(math.Round(n), 'f', 0, 64) }

// percent is a share for people, with one decimal where it has one.
func percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1000)/10, 'f', -1, 64) + " %"
}

func duration(d time.Duration) string {
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}
