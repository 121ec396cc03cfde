package kubelet

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/kubelet/probe"
)

// preStop runs the container's hook before it is told to stop, until force ends.
func (c *container) preStop(force context.Context) {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PreStop == nil {
		return
	}
	c.w.mu.Lock()
	process := c.process
	c.w.mu.Unlock()
	if err := c.hook(force, process, c.spec.Lifecycle.PreStop); err != nil {
		c.event(corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed")
	}
}

// postStart runs the container's hook beside its program; one that fails ends it.
func (c *container) postStart(ctx context.Context, process Process) {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PostStart == nil {
		return
	}
	if err := c.hook(ctx, process, c.spec.Lifecycle.PostStart); err != nil && ctx.Err() == nil {
		c.event(corev1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed")
		c.event(corev1.EventTypeNormal, "Killing", "FailedPostStartHook")
		c.end(process, c.specGrace())
	}
}

func (c *container) hook(ctx context.Context, process Process, h *corev1.LifecycleHandler) error {
	t := target{c, process}
	switch {
	case h.Exec != nil:
		_, err := t.Exec(ctx, h.Exec.Command)
		return err
	case h.Sleep != nil:
		sleep(ctx, seconds(h.Sleep.Seconds))
		return nil
	}
	spec := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: h.HTTPGet, TCPSocket: h.TCPSocket}, TimeoutSeconds: longestHook}
	return probe.New(t, spec, c.spec.Ports).Check(ctx)
}
