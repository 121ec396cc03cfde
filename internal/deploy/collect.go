package deploy

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// logLines is how much of a log is shown: a stack trace's end, not all of it.
const logLines = 12

// suspicion names what has been seen of the newest pod that is worth reading
// logs and events for, or is "". It changes when there is something new.
func suspicion(e Evidence) string {
	pod := newest(e.Pods)
	if pod == nil {
		return ""
	}
	for _, s := range pod.Status.ContainerStatuses {
		switch {
		case s.Name == queueProxy:
		case s.State.Terminated != nil, s.State.Waiting != nil && s.RestartCount > 0:
			return fmt.Sprintf("%s ended %d", pod.Name, s.RestartCount)
		case s.State.Waiting != nil && s.State.Waiting.Message != "":
			return pod.Name + " " + s.State.Waiting.Reason
		case s.State.Running != nil && !isReady(pod):
			ran := e.Now.Sub(s.State.Running.StartedAt.Time)
			switch {
			case e.Patience > 0 && ran >= e.Patience:
				return pod.Name + " silent for long"
			case ran >= lookAfter:
				return pod.Name + " silent"
			}
		}
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
		return
	}
	if list, err := d.cluster.ListEvents(ctx, "Pod", pod.Name); err == nil {
		e.Events = list
	}
	for _, s := range pod.Status.ContainerStatuses {
		lines := d.tail(ctx, pod.Name, s)
		switch {
		case len(lines) == 0:
		case s.Name == queueProxy:
			e.ProxyLog = lines
		default:
			e.Log = lines
		}
	}
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
