package kubelet

import (
	"time"

	"github.com/kn-lite/kn-lite/internal/backoff"
)

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

// newBackoff returns the pauses between the tries of something that fails.
func newBackoff() *backoff.Backoff { return backoff.New(crashBackoff()) }

func crashBackoff() backoff.Policy {
	return backoff.Policy{First: firstBackoff, Max: longestBackoff}
}

// longestHook is in seconds; the pod's grace is shorter.
const longestHook = 3600

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
