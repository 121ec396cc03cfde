package api

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

func podColumns() []column {
	return []column{
		of("Ready", "string", func(o *corev1.Pod) any {
			ready := 0
			for _, c := range o.Status.ContainerStatuses {
				if c.Ready {
					ready++
				}
			}
			return fmt.Sprintf("%d/%d", ready, len(o.Spec.Containers))
		}),
		of("Status", "string", func(o *corev1.Pod) any { return podStatus(o) }),
		of("Restarts", "string", func(o *corev1.Pod) any {
			restarts := 0
			for _, c := range o.Status.ContainerStatuses {
				restarts += int(c.RestartCount)
			}
			return strconv.Itoa(restarts)
		}),
		created(),
		wide(of("IP", "string", func(o *corev1.Pod) any { return textOr(o.Status.PodIP, "<none>") })),
		wide(of("Node", "string", func(o *corev1.Pod) any { return textOr(o.Spec.NodeName, "<none>") })),
	}
}

// podStatus is one word for how a pod is: what stands in its way, if anything does.
func podStatus(o *corev1.Pod) string {
	status := string(o.Status.Phase)
	if o.Status.Reason != "" {
		status = o.Status.Reason
	}
	for i, c := range o.Status.InitContainerStatuses {
		switch {
		case c.State.Terminated != nil && c.State.Terminated.ExitCode == 0:
			continue
		case c.State.Terminated != nil:
			return deleted(o, "Init:"+ended(c.State.Terminated))
		case c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "PodInitializing":
			return deleted(o, "Init:"+c.State.Waiting.Reason)
		}
		return deleted(o, fmt.Sprintf("Init:%d/%d", i, len(o.Spec.InitContainers)))
	}
	for _, c := range o.Status.ContainerStatuses {
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			return deleted(o, c.State.Waiting.Reason)
		case c.State.Terminated != nil:
			status = ended(c.State.Terminated)
		}
	}
	return deleted(o, status)
}

func ended(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

func deleted(o *corev1.Pod, status string) string {
	if o.DeletionTimestamp != nil {
		return "Terminating"
	}
	return status
}
