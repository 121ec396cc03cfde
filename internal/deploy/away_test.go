package deploy

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func away() error {
	return fault.New(fault.Transient, "cluster.reach", "https://server:6443", "the API server has not answered for 40s").WithHint("is the cluster running?")
}

// TestAwayAtTheDeadline: when the API server does not answer when time is up, that
// is the cause, and not what was seen of the revision before. Nothing is undone, and
// the same command goes on later.
func TestAwayAtTheDeadline(t *testing.T) {
	for name, first := range map[string]bool{"the first revision": true, "a later one": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				unready := "fn-v1"
				if !first {
					run(t, c, spec("1"))
					unready = "fn-v2"
				}
				c.set(only(unready, corev1.ConditionUnknown))
				time.AfterFunc(time.Minute, func() {
					c.mu.Lock()
					defer c.mu.Unlock()
					c.away = away()
				})
				var writes int
				time.AfterFunc(2*time.Minute, func() {
					c.mu.Lock()
					defer c.mu.Unlock()
					writes = c.writes
				})
				_, err := Run(t.Context(), c, spec("2"), options())
				if fault.KindOf(err) != fault.Timeout || !strings.Contains(err.Error(), "https://server:6443: the API server has not answered") || strings.Contains(err.Error(), "is not ready") {
					t.Fatalf("error %v", err)
				}
				hint := fault.HintOf(err)
				if !strings.Contains(hint, "is the cluster running?") || !strings.Contains(hint, "run the same command again") || strings.Contains(hint, "{Abort}") == first {
					t.Errorf("hint %q", hint)
				}
				if c.writes != writes {
					t.Errorf("%d writes after the server had gone", c.writes-writes)
				}
				c.away = nil
				c.set(nil)
				if r := run(t, c, spec("2")); r.Revision != unready || split(c.service) != unready+"=100" || recordOf(c.service) != nil {
					t.Errorf("going on: %s, %s", r.Revision, split(c.service))
				}
			})
		})
	}
}

// flaky is a cluster whose API server is away for a while, again and again.
type flaky struct {
	*cluster
	until time.Time
}

func (f *flaky) FindService(ctx context.Context, name string) (*servingv1.Service, error) {
	if time.Now().Before(f.until) {
		return nil, away()
	}
	return f.cluster.FindService(ctx, name)
}

// TestAwayWhileTrafficMoves: a server that is away between readiness and the new
// split is waited for.
func TestAwayWhileTrafficMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		f := &flaky{cluster: c}
		c.set(only("fn-v2", corev1.ConditionUnknown))
		time.AfterFunc(time.Minute, func() {
			f.until = time.Now().Add(3 * time.Minute)
			c.set(nil)
		})
		r, err := Run(t.Context(), f, spec("2"), options())
		if err != nil || split(c.service) != "fn-v2=100" || r.Revision != "fn-v2" || time.Now().Before(f.until) {
			t.Errorf("%v, %s", err, split(c.service))
		}
	})
}
