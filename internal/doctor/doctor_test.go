package doctor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func results(findings []Finding) (out []string) {
	for _, f := range findings {
		out = append(out, f.Name+" "+string(f.Result))
	}
	return out
}

// The order is that of the checks, whoever is done first, and those that need one that
// did not come out well are skipped, down the chain.
func TestRunOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		after := func(d time.Duration, f Finding) func(context.Context) Finding {
			return func(context.Context) Finding {
				<-time.After(d)
				return f
			}
		}
		var asked []string
		never := func(name string) func(context.Context) Finding {
			return func(context.Context) Finding {
				asked = append(asked, name)
				return Passed("")
			}
		}
		began := time.Now()
		got, err := Run(t.Context(), []Check{
			{Name: "slow", Ask: after(3*time.Second, Passed("fine"))},
			{Name: "quick", Ask: after(time.Second, Warned("do", "hm"))},
			{Name: "second", After: "quick", Ask: after(2*time.Second, Failed(errors.New("no"), "do"))},
			{Name: "third", After: "second", Ask: never("third")},
			{Name: "fourth", After: "third", Ask: never("fourth")},
			{Name: "before", After: "last", Ask: after(0, Passed("a check may stand ahead of what it needs"))},
			{Name: "last", Ask: after(time.Second, Passed("fine"))},
		}, Limit)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"slow ok", "quick warn", "second fail", "third skip", "fourth skip", "before ok", "last ok"}
		if diff := cmp.Diff(want, results(got)); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %s: not at the same time", took)
		}
		if len(asked) > 0 || got[3].After != "second" || got[4].After != "third" {
			t.Errorf("asked %v, %+v", asked, got[3:5])
		}
		if names := Failures(got); !slices.Equal(names, []string{"second"}) {
			t.Errorf("failed: %v", names)
		}
	})
}

// A check has its time, also one that does not look at its context; its turn is no
// part of another's. A panic is a failure of that check alone.
func TestRunLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		began := time.Now()
		got, err := Run(t.Context(), []Check{
			{Name: "deaf", Ask: func(context.Context) Finding { <-stop; return Passed("") }},
			{Name: "long", Ask: func(context.Context) Finding { <-time.After(4 * time.Second); return Passed("") }},
			{Name: "then", After: "long", Ask: func(context.Context) Finding { <-time.After(4 * time.Second); return Passed("") }},
			{Name: "says so", Ask: func(ctx context.Context) Finding { <-ctx.Done(); return Failed(ctx.Err(), "mine") }},
			{Name: "panics", Ask: func(context.Context) Finding { panic("boom") }},
		}, 5*time.Second)
		close(stop)
		want := []string{"deaf fail", "long ok", "then ok", "says so fail", "panics fail"}
		if diff := cmp.Diff(want, results(got)); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if took := time.Since(began); took != 8*time.Second || got[0].Fix == "" || got[3].Fix != "mine" || got[4].Fix == "" {
			t.Errorf("took %s; %+v", took, got)
		}
	})
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := []Check{{Name: "waits", Ask: func(ctx context.Context) Finding { <-ctx.Done(); return Passed("") }}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if got, err := Run(ctx, waits, Limit); !errors.Is(err, context.Canceled) || got != nil {
			t.Errorf("cancelled: %v, %v", got, err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		quick := Check{Name: "quick", Ask: func(context.Context) Finding { return Passed("") }}
		late := Check{Name: "late", Ask: func(context.Context) Finding { <-time.After(time.Minute); return Passed("") }}
		got, err := Run(ctx, []Check{quick, late}, Limit)
		if diff := cmp.Diff([]string{"quick ok", "late fail"}, results(got)); diff != "" || err != nil {
			t.Error(diff, err)
		}
		<-time.After(time.Minute) // for the one that nobody waited for
	})
}

func TestFailedHasTheNearestFix(t *testing.T) {
	if f := Failed(errors.New("x"), "mine"); f.Fix != "mine" || f.Detail != "x" {
		t.Errorf("%+v", f)
	}
	if f := Failed(fault.New(fault.Auth, "a.b", "", "x").WithHint("theirs"), "mine"); f.Fix != "theirs" {
		t.Errorf("%+v", f)
	}
}
