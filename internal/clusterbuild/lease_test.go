package clusterbuild

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/backoff"
	"github.com/kn-lite/kn-lite/internal/clusterbuild/fakecluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// TestLeaseIsRenewed watches a job's deadline: always a little ahead, never beyond
// that of the build, and no longer renewed when the build has ended.
func TestLeaseIsRenewed(t *testing.T) {
	cluster := fakecluster.New(nil)
	cluster.Program = builder(t, func(ctx context.Context, _ string, _ *Order, _ *Log) error {
		for len(cluster.Deadlines()) < 3 && ctx.Err() == nil {
			_ = backoff.Sleep(ctx, time.Millisecond)
		}
		return nil
	})
	spec := request()
	spec.Lease, spec.Timeout = 20*time.Millisecond, time.Hour
	if _, err := Run(t.Context(), cluster, spec, &progresstest.Recorder{}); err != nil {
		t.Fatal(err)
	}
	deadlines := cluster.Deadlines()
	if len(deadlines) < 3 || !slices.IsSorted(deadlines) || deadlines[0] != 1 || slices.Max(deadlines) > 60 {
		t.Errorf("the job's deadlines were %v", deadlines)
	}
}

func TestLeaseEndsWithTheBuild(t *testing.T) {
	spec := request()
	spec.Timeout, spec.Lease = time.Second, time.Hour
	cluster := fakecluster.New(nil)
	cluster.Program = builder(t, func(ctx context.Context, _ string, _ *Order, _ *Log) error {
		for len(cluster.Deadlines()) < 1 && ctx.Err() == nil {
			_ = backoff.Sleep(ctx, time.Millisecond)
		}
		return nil
	})
	if _, err := Run(t.Context(), cluster, spec, &progresstest.Recorder{}); err != nil {
		t.Fatal(err)
	}
	if got, want := cluster.Deadlines()[0], int64((time.Second+2*margin)/time.Second); got != want {
		t.Errorf("the deadline is %d s, want %d", got, want)
	}
}

// TestLeaseNeedsARight: who may not change jobs builds all the same, and is told
// what a killed kn-lite leaves.
func TestLeaseNeedsARight(t *testing.T) {
	report := &progresstest.Recorder{}
	cluster := fakecluster.New(builder(t, func(ctx context.Context, _ string, _ *Order, _ *Log) error {
		for ctx.Err() == nil {
			reported := slices.ContainsFunc(report.Lines(), func(line string) bool { return strings.Contains(line, "not permitted to change jobs") })
			if reported {
				return nil
			}
			_ = backoff.Sleep(ctx, time.Millisecond)
		}
		return ctx.Err()
	}))
	cluster.Errors["SetJobDeadline"] = fault.New(fault.Auth, "cluster.patch", "job", "no")
	spec := request()
	spec.Lease = time.Minute
	if _, err := Run(t.Context(), cluster, spec, report); err != nil {
		t.Error(err)
	}
}
