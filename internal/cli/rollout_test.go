package cli

import (
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/rollout"
)

func TestRolloutOptions(t *testing.T) {
	start := func(service, revision string, change func(*rolloutStartOptions)) rolloutStartOptions {
		o := rolloutStartOptions{Service: service, Revision: revision, Plan: rollout.Defaults(), Signal: "auto", ProbePath: "/"}
		if change != nil {
			change(&o)
		}
		return o
	}
	checkOptions(t, newRolloutStartCmd,
		optionsCase[rolloutStartOptions]{args: "", want: start("", "", nil)},
		optionsCase[rolloutStartOptions]{args: "hello", want: start("hello", "", nil)},
		optionsCase[rolloutStartOptions]{args: "hello v2", want: start("hello", "v2", nil)},
		optionsCase[rolloutStartOptions]{args: "-s hello v2", want: start("hello", "v2", nil)},
		optionsCase[rolloutStartOptions]{args: "-s hello other v2", says: "which service: other or hello?"},
		optionsCase[rolloutStartOptions]{args: "a b c", says: "accepts at most 2"},
		optionsCase[rolloutStartOptions]{
			args: "hello v2 --steps 5%,100 --interval 3m --min-requests 7 --max-error-rate 0.5% --max-error-increase none --max-p95 300ms --max-slowdown 50% --max-restarts 2 --signal probes --probe-path /x --ingress h:80",
			want: start("hello", "v2", func(o *rolloutStartOptions) {
				o.Plan = rollout.Plan{
					Steps: []int{5, 100}, Interval: 3 * time.Minute, Patience: 9 * time.Minute, // three intervals
					Limits: rollout.Limits{MinRequests: 7, MaxErrorRate: 0.005, MaxErrorIncrease: -1, MaxP95: 300 * time.Millisecond, MaxSlowdown: 0.5, MaxRestarts: 2},
				}
				o.Signal, o.ProbePath, o.Ingress = "probes", "/x", "h:80"
			}),
		},
		optionsCase[rolloutStartOptions]{args: "hello --max-p95 -1s", says: "cannot be negative"},
		optionsCase[rolloutStartOptions]{args: "hello --max-restarts -1", says: "cannot be negative"},
	)
	checkOptions(t, newRolloutStatusCmd,
		optionsCase[rolloutStatusOptions]{args: "hello", want: rolloutStatusOptions{Service: "hello"}},
		optionsCase[rolloutStatusOptions]{args: "a -s b", says: "which service: a or b?"},
	)
	checkOptions(t, newRolloutAbortCmd, optionsCase[rolloutEndOptions]{args: "hello --no-wait", want: rolloutEndOptions{Service: "hello", NoWait: true}})
	checkOptions(t, newRolloutPromoteCmd, optionsCase[rolloutEndOptions]{args: "-s hello", want: rolloutEndOptions{Service: "hello", promote: true}})
	checkOptions(t, newRollbackCmd,
		optionsCase[rollbackOptions]{args: "hello", want: rollbackOptions{Service: "hello"}},
		optionsCase[rollbackOptions]{args: "-s hello v1 --dry-run --no-wait", want: rollbackOptions{Service: "hello", Revision: "v1", DryRun: true, NoWait: true}},
		optionsCase[rollbackOptions]{args: "a b c", says: "accepts at most 2"},
	)
}
