package kubelet

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/kubelet/podlog"
)

// container is one container of a pod over all its restarts.
type container struct {
	w    *worker
	spec *corev1.Container
	path string // of its spec, as events name it
	// first is what the container waits for before anything else.
	first string

	// Guarded by w.mu.
	status   corev1.ContainerStatus
	process  Process // nil while none runs
	log, old *podlog.Run
	logged   int // the number of the run that log is of
	stopWith syscall.Signal
}

func newContainer(w *worker, spec *corev1.Container, init bool, reason string) *container {
	c := &container{w: w, spec: spec, first: reason, path: "spec.containers{" + spec.Name + "}"}
	if init {
		c.path = "spec.initContainers{" + spec.Name + "}"
	}
	started := false
	c.status = corev1.ContainerStatus{Name: spec.Name, Image: spec.Image, State: waiting(reason, ""), Started: &started}
	return c
}

func statuses(containers []*container) []corev1.ContainerStatus {
	var out []corev1.ContainerStatus
	for _, c := range containers {
		out = append(out, *c.status.DeepCopy())
	}
	return out
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// wait says in the status what the container waits for.
func (c *container) wait(reason, message string) {
	c.w.update(func() {
		if ended := c.status.State.Terminated; ended != nil {
			c.status.LastTerminationState.Terminated = ended
		}
		c.status.State = waiting(reason, message)
	})
}

func (c *container) event(kind, reason, message string) {
	c.w.event(c.path, kind, reason, message)
}

// keepRunning starts the container again whenever it ends, until the pod does.
func (c *container) keepRunning() {
	policy := c.w.current().Spec.RestartPolicy
	for restarts := (restarts{}); ; {
		begun := time.Now()
		if !c.runOnce() || !shouldRestart(policy, c.exitCode()) {
			return
		}
		if !c.backOff(restarts.next(time.Since(begun))) {
			return
		}
	}
}

// runToEnd runs an init container until it has succeeded; false says that the pod
// does not get further.
func (c *container) runToEnd() bool {
	policy := c.w.current().Spec.RestartPolicy
	for restarts := (restarts{}); ; {
		begun := time.Now()
		if !c.runOnce() {
			return false
		}
		code := c.exitCode()
		if code == 0 {
			c.w.update(func() { c.status.Ready = true })
			return true
		}
		if policy == corev1.RestartPolicyNever || !c.backOff(restarts.next(time.Since(begun))) {
			return false
		}
	}
}

func shouldRestart(policy corev1.RestartPolicy, code int32) bool {
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return true
}

// restarts is how often a container has ended soon.
type restarts struct{ soon int }

// next is how long to wait after a run of that length: not at all the first time.
func (r *restarts) next(ran time.Duration) time.Duration {
	if ran >= healthyAfter {
		*r = restarts{}
	}
	if r.soon++; r.soon == 1 {
		return 0
	}
	return crashBackoff().Delay(r.soon - 2)
}

// backOff waits before the next start; false says that the pod is to end.
func (c *container) backOff(delay time.Duration) bool {
	if delay == 0 {
		return c.w.round.Err() == nil
	}
	p := c.w.current()
	c.wait("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", delay, c.spec.Name, described(p)))
	c.event(corev1.EventTypeWarning, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s", c.spec.Name, described(p)))
	return c.w.pause(delay)
}

// runOnce starts the container and returns when it has ended; false says that the
// pod is to end, and the container may still run.
func (c *container) runOnce() bool {
	image, ok := c.pull()
	if !ok {
		return false
	}
	made, ok := c.configure(image)
	if !ok {
		return false
	}
	c.event(corev1.EventTypeNormal, "Created", "Container created")
	begun := metav1.Now()
	process, err := c.w.currentSandbox().Start(c.w.round, made)
	if err != nil {
		if c.w.sandboxIsGone() {
			return false
		}
		c.notStarted(err, begun)
		return true
	}
	c.started(process, image, begun)
	stopProbes := c.probe(process)
	defer stopProbes()
	select {
	case <-process.Done():
	case <-c.w.round.Done():
		return false
	}
	stopProbes()
	c.ended(process)
	return true
}

// started notes a process in the status.
func (c *container) started(process Process, image Image, begun metav1.Time) {
	c.w.update(func() {
		c.process, c.stopWith = process, image.StopSignal
		if ended := c.status.State.Terminated; ended != nil {
			c.status.LastTerminationState.Terminated = ended
		}
		if c.status.ContainerID != "" {
			c.status.RestartCount++
		}
		c.status.ContainerID, c.status.ImageID = newContainerID(), image.Ref
		c.status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: begun}}
		up := c.spec.StartupProbe == nil
		c.status.Started = &up
		c.status.Ready = up && c.readiness() == nil
	})
	c.event(corev1.EventTypeNormal, "Started", "Container started")
}

// notStarted is for a program that the runtime cannot run: to a cluster, that is a
// container which has ended.
func (c *container) notStarted(err error, begun metav1.Time) {
	c.closeLog()
	c.event(corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
	c.w.update(func() {
		if c.status.ContainerID != "" {
			c.status.RestartCount++
		}
		c.status.ContainerID = newContainerID()
		c.status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: 128, Reason: "StartError", Message: err.Error(),
			StartedAt: begun, FinishedAt: metav1.Now(), ContainerID: c.status.ContainerID,
		}
		c.status.State = waiting("RunContainerError", err.Error())
	})
}

// ended notes how a process has ended.
func (c *container) ended(process Process) {
	code, outOfMemory := process.Exit()
	reason := "Error"
	switch {
	case outOfMemory:
		reason = "OOMKilled"
	case code == 0:
		reason = "Completed"
	}
	c.closeLog()
	message := c.terminationMessage(code)
	c.w.update(func() {
		c.process = nil
		var begun metav1.Time
		if running := c.status.State.Running; running != nil {
			begun = running.StartedAt
		}
		started := false
		c.status.Ready, c.status.Started = false, &started
		c.status.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: int32(code), Reason: reason, Message: message, //nolint:gosec // an exit code has a byte
			StartedAt: begun, FinishedAt: metav1.Now(), ContainerID: c.status.ContainerID,
		}}
	})
}

// exitCode is how the last run ended.
func (c *container) exitCode() int32 {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	for _, ended := range []*corev1.ContainerStateTerminated{c.status.State.Terminated, c.status.LastTerminationState.Terminated} {
		if ended != nil {
			return ended.ExitCode
		}
	}
	return 0
}

// openLog begins the log of the next run. Where that cannot be, what the container
// says is lost, and it runs nevertheless.
func (c *container) openLog() (stdout, stderr io.Writer) {
	c.w.mu.Lock()
	number := int(c.status.RestartCount)
	if c.status.ContainerID != "" {
		number++
	}
	unused := c.log != nil && c.logged == number
	c.w.mu.Unlock()
	if unused { // the sandbox was lost before the run could begin
		c.closeLog()
	}
	log, err := podlog.Start(filepath.Join(c.w.dir, c.spec.Name), number, c.w.k.o.LogLimit)
	if err != nil {
		c.event(corev1.EventTypeWarning, "Failed", "the container's output is lost: "+err.Error())
		return io.Discard, io.Discard
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if !unused {
		c.old = c.log
	}
	c.log, c.logged = log, number
	return log.Stdout, log.Stderr
}

func (c *container) closeLog() {
	c.w.mu.Lock()
	log := c.log
	c.w.mu.Unlock()
	if log == nil {
		return
	}
	if err := log.Close(); err != nil {
		c.event(corev1.EventTypeWarning, "Failed", "the end of the container's output is lost: "+err.Error())
	}
}

// newContainerID is one that no other container has.
func newContainerID() string {
	var id [32]byte
	_, _ = rand.Read(id[:]) // never fails
	return "kn-lite://" + hex.EncodeToString(id[:])
}
