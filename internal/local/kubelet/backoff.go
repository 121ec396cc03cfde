package kubelet

import "time"

// The times of a cluster's kubelet.
const (
	firstBackoff   = 10 * time.Second
	longestBackoff = 5 * time.Minute
	// healthyAfter is how long a container runs before its crashes are forgotten.
	healthyAfter = 10 * time.Minute
)

// leastGrace is what containers have between SIGTERM and SIGKILL, however short the
// grace is and whatever is left of it.
const leastGrace = 2 * time.Second

// backoff doubles up to a limit.
type backoff struct{ delay time.Duration }

func newBackoff() *backoff { return &backoff{} }

func (b *backoff) next() time.Duration {
	b.delay = min(max(2*b.delay, firstBackoff), longestBackoff)
	return b.delay
}

// longestHook is in seconds; the pod's grace is shorter.
const longestHook = 3600

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
