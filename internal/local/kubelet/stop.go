package kubelet

import (
	"context"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// stop ends the container: with its stop signal, and when force ends by SIGKILL.
func (c *container) stop(force context.Context) {
	c.w.mu.Lock()
	process := c.process
	c.w.mu.Unlock()
	if process == nil {
		return
	}
	select {
	case <-process.Done():
		c.ended(process)
		return
	default:
	}
	c.event(corev1.EventTypeNormal, "Killing", "Stopping container "+c.spec.Name)
	if c.terminate(force, process) {
		c.ended(process)
	}
}

// lost notes the end of a process that was killed with its sandbox, and that what
// has been done before is to be done again.
func (c *container) lost() {
	c.w.mu.Lock()
	process := c.process
	c.w.mu.Unlock()
	if process != nil && c.killed(process) {
		c.ended(process)
	}
	c.w.update(func() { c.status.Ready = false })
	c.wait(c.first, "")
}

// end ends a process of a pod that goes on, within grace.
func (c *container) end(process Process, grace time.Duration) {
	force, cancel := context.WithTimeout(c.w.force, grace)
	defer cancel()
	c.terminate(force, process)
}

// specGrace is how long the pod's containers have to stop.
func (c *container) specGrace() time.Duration {
	if n := c.w.current().Spec.TerminationGracePeriodSeconds; n != nil {
		return seconds(*n)
	}
	return seconds(corev1.DefaultTerminationGracePeriodSeconds)
}

// terminate ends a process and reports whether it is gone.
func (c *container) terminate(force context.Context, process Process) bool {
	if force.Err() == nil {
		c.preStop(force)
		// It may have ended by itself meanwhile, which is as good.
		_ = process.Signal(c.stopSignal())
	}
	select {
	case <-process.Done():
		return true
	case <-force.Done():
	}
	return c.killed(process)
}

// killed ends a process without asking, and reports whether it is gone. If it is
// not, the sandbox's Close is the next to try.
func (*container) killed(process Process) bool {
	_ = process.Signal(syscall.SIGKILL)
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	select {
	case <-process.Done():
		return true
	case <-timer.C:
		return false
	}
}

func (c *container) stopSignal() syscall.Signal {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.stopWith != 0 {
		return c.stopWith
	}
	return syscall.SIGTERM
}
