package deploy

import (
	"math/bits"
	"time"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// defaultTimeout is how long a revision may take to become ready where nobody
// says otherwise.
const defaultTimeout = 5 * time.Minute

// beforeProbes is what comes before the startup probe's first question: finding
// a node, pulling the image, mounting volumes.
const beforeProbes = time.Minute

// timeout returns how long the revision may take to become ready: what the user
// says, else defaultTimeout, else as long as its own startup probe allows.
func (d *deployer) timeout() time.Duration {
	if d.opts.Timeout > 0 {
		return d.opts.Timeout
	}
	for _, svc := range []*servingv1.Service{d.p.next, d.p.live} {
		if svc != nil {
			return max(defaultTimeout, startupBudget(svc.Spec.Template.Spec.PodSpec)+beforeProbes)
		}
	}
	return defaultTimeout
}

// startupBudget returns the longest time that a startup probe of the containers
// allows before the kubelet gives up on its container; 0 where there is none.
func startupBudget(spec corev1.PodSpec) time.Duration {
	var longest time.Duration
	for _, c := range spec.Containers {
		p := c.StartupProbe
		if p == nil {
			continue
		}
		// The API server's defaults (Probe in k8s.io/api/core/v1): every 10 s, three times.
		period, times := p.PeriodSeconds, p.FailureThreshold
		if period == 0 {
			period = 10
		}
		if times == 0 {
			times = 3
		}
		longest = max(longest, time.Duration(p.InitialDelaySeconds)*time.Second+time.Duration(period)*time.Duration(times)*time.Second)
	}
	return longest
}

// doublings returns how often d has doubled since unit. Something that stays as
// it is gets looked at again at each, not every second.
func doublings(d, unit time.Duration) int { return bits.Len64(uint64(max(0, d/unit))) }
