// Package doctor finds out whether this machine, this folder and this cluster have
// what a deploy needs. A check is a value; Run asks all of them at the same time, and
// the judging functions turn what was read into findings without asking anybody.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// Result is how a check came out.
type Result string

// The results. Only Fail is one that a deploy stops at.
const (
	OK   Result = "ok"
	Warn Result = "warn"
	Fail Result = "fail"
	Skip Result = "skip" // there is nothing to look at, or it may not be looked at
)

// Finding is what a check has found. Its JSON is what programs read: fields are added
// and never changed.
type Finding struct {
	Name   string `json:"name"`
	Result Result `json:"result"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`   // what to do; a failure always has it
	After  string `json:"after,omitempty"` // the check for whose result this one was skipped

	// Err is behind a failure, nil where nothing went wrong with the asking: internal/cli
	// has hints of its own for some operations.
	Err error `json:"-"`
}

// Check is one question.
type Check struct {
	Name string
	// After is a check of the same Run that has to come out OK or Warn, else this one
	// is skipped.
	After string
	Ask   func(ctx context.Context) Finding // Name is filled in
}

// Limit is how long a check may take.
const Limit = 10 * time.Second

// Run asks all checks at the same time, each for limit at most, and returns their
// findings in the order of checks. A check that does not end in time fails, also one
// that does not look at its context: nobody waits for it. The error is that of a
// cancelled context; where its deadline has passed, what is not done yet fails.
func Run(ctx context.Context, checks []Check, limit time.Duration) ([]Finding, error) {
	findings := make([]Finding, len(checks))
	done := make(map[string]chan struct{}, len(checks))
	at := make(map[string]int, len(checks))
	for i, c := range checks {
		done[c.Name], at[c.Name] = make(chan struct{}), i
	}
	all, _ := parallel.WithContext(ctx)
	for i, c := range checks {
		all.Go(func() error {
			defer close(done[c.Name])
			if before, ok := done[c.After]; ok {
				<-before
				if r := findings[at[c.After]]; r.Result == Fail || r.Result == Skip {
					findings[i] = Finding{Name: c.Name, Result: Skip, Detail: "needs " + c.After, After: c.After}
					return nil
				}
			}
			findings[i] = ask(ctx, c, limit)
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	return findings, nil
}

// ask returns the finding of one check.
func ask(ctx context.Context, c Check, limit time.Duration) Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer := make(chan Finding, 1)
	go func() {
		var found Finding
		err := parallel.Guard(func() error {
			found = c.Ask(ctx)
			return nil
		})()
		if err != nil {
			found = Failed(err, "this is a mistake in kn-lite: please report it")
		}
		answer <- found
	}()
	var found Finding
	select {
	case found = <-answer:
	case <-gone(ctx):
		found = Failed(fault.New(fault.Timeout, "doctor.run", "", "no answer in time"), "check the network between this machine and what was asked: a proxy, a firewall, the VPN")
	}
	found.Name = c.Name
	return found
}

// grace is how long a check whose time is over has to say so itself: it knows best who
// has not answered.
const grace = 500 * time.Millisecond

// gone returns a channel that is closed when nobody waits for a check any longer.
func gone(ctx context.Context) <-chan struct{} {
	over := make(chan struct{})
	context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			<-time.After(grace)
		}
		close(over)
	})
	return over
}

// Passed is a finding that all is well.
func Passed(format string, args ...any) Finding {
	return Finding{Result: OK, Detail: fmt.Sprintf(format, args...)}
}

// Warned is a finding that a deploy may stumble over; fix is what to do.
func Warned(fix, format string, args ...any) Finding {
	return Finding{Result: Warn, Detail: fmt.Sprintf(format, args...), Fix: fix}
}

// Skipped is a finding that there was nothing to look at.
func Skipped(format string, args ...any) Finding {
	return Finding{Result: Skip, Detail: fmt.Sprintf(format, args...)}
}

// Failed is a finding that err happened; fix is what to do where err does not say.
func Failed(err error, fix string) Finding {
	if hint := fault.HintOf(err); hint != "" {
		fix = hint
	}
	return Finding{Result: Fail, Detail: err.Error(), Fix: fix, Err: err}
}

// Failures returns the names of the checks that have failed.
func Failures(findings []Finding) []string {
	names := []string{}
	for _, f := range findings {
		if f.Result == Fail {
			names = append(names, f.Name)
		}
	}
	return names
}
