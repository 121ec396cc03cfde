package deploy

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/knative"
)

// podsAfter is how long after the revision its first pod is usually there; then
// the revision's events may say why it is not.
const podsAfter = 3 * time.Second

// logLines is how much of a log is shown: a stack trace's end, not all of it.
const logLines = 12

// suspicion names what has been seen of the newest pod that is worth reading
// logs and events for, or is "". It changes when there is something new.
func suspicion(e Evidence) string {
	pod := newest(e.Pods)
	if pod == nil {
		return noPods(e)
	}
	for _, s := range pod.Status.ContainerStatuses {
		switch {
		case s.Name == knative.QueueProxy:
		case s.State.Terminated != nil, s.State.Waiting != nil && s.RestartCount > 0:
			return fmt.Sprintf("%s ended %d", pod.Name, s.RestartCount)
		case s.State.Waiting != nil && s.State.Waiting.Message != "":
			return pod.Name + " " + s.State.Waiting.Reason
		case s.State.Waiting != nil && s.State.Waiting.Reason == containerCreating && !pod.CreationTimestamp.IsZero():
			// Volumes and the network are told of by events alone.
			if n := doublings(e.Now.Sub(pod.CreationTimestamp.Time), lookAfter); n > 0 {
				return fmt.Sprintf("%s creating %d", pod.Name, n)
			}
		case s.State.Running != nil && !isReady(pod):
			if n := doublings(e.Now.Sub(s.State.Running.StartedAt.Time), lookAfter); n > 0 {
				return fmt.Sprintf("%s silent %d", pod.Name, n)
			}
		}
	}
	return ""
}

// noPods is the suspicion about a revision that has had no pod for a while.
func noPods(e Evidence) string {
	if e.Object == nil {
		return ""
	}
	if n := doublings(e.Now.Sub(e.Object.CreationTimestamp.Time), podsAfter); n > 0 {
		return fmt.Sprintf("no pods %d", n)
	}
	return ""
}

// collect reads logs, events and deployments. What may not be read or is not
// there stays as it was.
func (d *deployer) collect(ctx context.Context, e *Evidence) {
	if list, err := d.cluster.ListDeployments(ctx, revisionLabel+e.Revision); err == nil {
		e.Deployments = list
	}
	pod := newest(e.Pods)
	if pod == nil {
		if list, err := d.cluster.ListEvents(ctx, "Revision", e.Revision); err == nil {
			e.Events = list
		}
		return
	}
	if list, err := d.cluster.ListEvents(ctx, "Pod", pod.Name); err == nil {
		e.Events = list
	}
	user := knative.UserContainerName(pod.Spec)
	others := map[string][]string{}
	for _, s := range pod.Status.ContainerStatuses {
		lines := d.tail(ctx, pod.Name, s)
		switch {
		case len(lines) == 0:
		case s.Name == user:
			e.Log = lines
		default:
			others[s.Name] = lines
		}
	}
	e.OtherLogs = others
}

// tail is the end of what the container said last: a container that has just
// been started again has said nothing, its forerunner has.
func (d *deployer) tail(ctx context.Context, pod string, s corev1.ContainerStatus) []string {
	lines, err := d.cluster.TailLog(ctx, pod, s.Name, logLines, false)
	if (err != nil || len(lines) == 0) && s.RestartCount > 0 {
		lines, err = d.cluster.TailLog(ctx, pod, s.Name, logLines, true)
	}
	if err != nil {
		return nil
	}
	return lines
}
