package kubelet

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/backoff"
	"github.com/kn-lite/kn-lite/internal/local/kubelet/probe"
)

// The values that Kubernetes gives to probes that leave them out.
const (
	defaultPeriod           = 10 * time.Second
	defaultFailureThreshold = 3
)

// The kinds of probes as events call them.
const (
	startup   = "Startup"
	readiness = "Readiness"
	liveness  = "Liveness"
)

// target is a running container as probes see it.
type target struct {
	c       *container
	process Process
}

// Dial implements probe.Target.
func (t target) Dial(ctx context.Context, port int32) (net.Conn, error) {
	return t.c.w.currentSandbox().Dial(ctx, port)
}

// Exec implements probe.Target.
func (t target) Exec(ctx context.Context, args []string) (string, error) {
	return t.c.exec(ctx, t.process, args)
}

// readiness is the container's probe; a container with a port and without a probe
// is ready when it listens there, as Knative has it.
func (c *container) readiness() *corev1.Probe {
	if p := c.spec.ReadinessProbe; p != nil {
		return p
	}
	if len(c.spec.Ports) == 0 {
		return nil
	}
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{}}}
}

// probe watches over a process until the returned function is called.
func (c *container) probe(process Process) (stop func()) {
	ctx, cancel := context.WithCancel(c.w.round)
	var probing sync.WaitGroup
	probing.Go(func() { c.postStart(ctx, process) })
	probing.Go(func() {
		if !c.awaitStartup(ctx, process) {
			return
		}
		if p := c.spec.LivenessProbe; p != nil {
			probing.Go(func() { c.keepAlive(ctx, process, p) })
		}
		if p := c.readiness(); p != nil {
			c.keepReady(ctx, process, p)
		}
	})
	return func() { cancel(); probing.Wait() }
}

// check is a probe in the course of time.
type check struct {
	c         *container
	kind      string // as events call it
	spec      *corev1.Probe
	probe     *probe.Probe
	begun     time.Time
	reported  time.Time // when the last failure was made an event
	successes int32
	failures  int32
	last      error
}

func (c *container) newCheck(kind string, process Process, spec *corev1.Probe) *check {
	now := time.Now()
	return &check{c: c, kind: kind, spec: spec, probe: probe.New(target{c, process}, spec, c.spec.Ports), begun: now, reported: now}
}

// ask probes once and counts; false says that it was interrupted.
func (k *check) ask(ctx context.Context) bool {
	err := k.probe.Check(ctx)
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		k.successes, k.failures = k.successes+1, 0
		return true
	}
	k.successes, k.failures, k.last = 0, k.failures+1, err
	// While a container starts there are many failures, and they mean little.
	if k.kind == liveness || time.Since(k.reported) >= k.period() {
		k.report()
	}
	return true
}

// report makes the last failure an event.
func (k *check) report() {
	k.reported = time.Now()
	k.c.event(corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("%s probe failed: %s", k.kind, k.last))
}

func (k *check) period() time.Duration {
	if k.spec.PeriodSeconds > 0 {
		return time.Duration(k.spec.PeriodSeconds) * time.Second
	}
	return defaultPeriod
}

func (k *check) succeeded() bool { return k.successes >= max(k.spec.SuccessThreshold, 1) }

func (k *check) threshold() int32 {
	if k.spec.FailureThreshold > 0 {
		return k.spec.FailureThreshold
	}
	return defaultFailureThreshold
}

func (k *check) failed() bool { return k.failures >= k.threshold() }

// soon is how long to wait while the container starts: an eighth of the time that
// it has taken so far, so that a fast one is found ready within a millisecond and
// a slow one is not disturbed. The bound is the probe's period, or 50 ms where it
// has none, which is what Knative's queue-proxy takes.
func (k *check) soon() time.Duration {
	const shortest, longest = time.Millisecond, 50 * time.Millisecond
	bound := longest
	if k.spec.PeriodSeconds > 0 {
		bound = k.period()
	}
	return min(max(time.Since(k.begun)/8, shortest), bound)
}

func (k *check) delay(ctx context.Context) bool {
	if k.spec.InitialDelaySeconds == 0 {
		return true
	}
	return sleep(ctx, time.Duration(k.spec.InitialDelaySeconds)*time.Second)
}

func sleep(ctx context.Context, d time.Duration) bool { return backoff.Sleep(ctx, d) == nil }

// awaitStartup reports whether the container has started, as its probe sees it.
func (c *container) awaitStartup(ctx context.Context, process Process) bool {
	spec := c.spec.StartupProbe
	if spec == nil {
		return true
	}
	k := c.newCheck(startup, process, spec)
	if !k.delay(ctx) {
		return false
	}
	for patience := time.Duration(k.threshold()) * k.period(); k.ask(ctx); {
		if k.succeeded() {
			c.w.update(func() {
				started := true
				c.status.Started, c.status.Ready = &started, c.readiness() == nil
			})
			return true
		}
		// It asks more often than a cluster does, and gives it the same time.
		if time.Since(k.begun) >= patience {
			k.report()
			c.restart(process, startup, spec)
			return false
		}
		if !sleep(ctx, min(k.soon(), k.period())) {
			return false
		}
	}
	return false
}

// keepReady makes the container ready and unready.
func (c *container) keepReady(ctx context.Context, process Process, spec *corev1.Probe) {
	k := c.newCheck(readiness, process, spec)
	if !k.delay(ctx) {
		return
	}
	pause := k.soon
	for ready := false; k.ask(ctx); {
		if next := ready && !k.failed() || k.succeeded(); next != ready {
			ready = next
			c.w.update(func() { c.status.Ready = ready })
			if ready {
				pause = k.period
			}
		}
		if !sleep(ctx, pause()) {
			return
		}
	}
}

// keepAlive ends the process when it is not well any longer.
func (c *container) keepAlive(ctx context.Context, process Process, spec *corev1.Probe) {
	k := c.newCheck(liveness, process, spec)
	// The first one is late, so that it does not find a program that still starts.
	if !k.delay(ctx) || spec.InitialDelaySeconds == 0 && !sleep(ctx, k.period()) {
		return
	}
	for k.ask(ctx) {
		if k.failed() {
			c.restart(process, liveness, spec)
			return
		}
		if !sleep(ctx, k.period()) {
			return
		}
	}
}

// restart ends the process; that it is started again is for keepRunning.
func (c *container) restart(process Process, kind string, spec *corev1.Probe) {
	c.event(corev1.EventTypeNormal, "Killing", fmt.Sprintf("Container %s failed %s probe, will be restarted", c.spec.Name, strings.ToLower(kind)))
	grace := c.specGrace()
	if n := spec.TerminationGracePeriodSeconds; n != nil {
		grace = seconds(*n)
	}
	c.end(process, grace)
}
