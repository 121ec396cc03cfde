package clusterbuild

import (
	"context"
	"math"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// longest returns the deadline of a job whose client is there to the end, in
// seconds: a little more than that of its pod.
func (s *Spec) longest() int64 { return int64((s.Timeout + 2*margin) / time.Second) }

// renew keeps the job's deadline Lease ahead of now until ctx is done, for programs
// that do not notice that nobody waits for them any more. When this process is
// killed the cluster ends the job at that deadline and removes it, and with it the
// secret, KeptFor later. What counts is the time since created on this machine's
// clock: the cluster's may show another time, and starts to count a moment later.
//
// Who may create jobs and not change them has the whole deadline instead.
func (r *run) renew(ctx context.Context, created time.Time) {
	tick := time.NewTicker(max(r.Lease/4, time.Millisecond))
	defer tick.Stop()
	for {
		seconds := int64(math.Ceil((time.Since(created) + r.Lease).Seconds()))
		err := r.cluster.SetJobDeadline(ctx, r.name, min(seconds, r.longest()))
		switch {
		case ctx.Err() != nil:
			return
		case fault.KindOf(err) == fault.Auth:
			r.report.Note("not permitted to change jobs: if kn-lite is killed, the build goes on until its deadline")
			return
		}
		// Another error may be over by the next time, well before the deadline.
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
