package cluster

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/serving/pkg/apis/serving"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
)

// LogOptions says which log lines are wanted.
type LogOptions struct {
	Service       string
	Revision      string // when set, only this one of the service's
	Container     string // "" is the container that gets the requests
	AllContainers bool   // every container, queue-proxy among them
	Previous      bool   // of each container's run before its last restart
	Follow        bool
	Since         time.Duration // 0: from the start
	Tail          int64         // last lines of each container that runs already; negative: all
	// GiveUpAfter is for how long Follow waits for an API server that does not answer;
	// 0: two minutes.
	GiveUpAfter time.Duration
}

// LogLine is one line without its end.
type LogLine struct {
	Revision, Pod, Container, Text string
}

// Selector matches the pods that are meant.
func (o LogOptions) Selector() string {
	if o.Revision != "" {
		return serving.RevisionLabelKey + "=" + o.Revision
	}
	return serving.ServiceLabelKey + "=" + o.Service
}

// containers returns the names of the pod's containers that are meant.
func (o LogOptions) containers(pod *corev1.Pod) []string {
	switch {
	case o.AllContainers:
		return containerNames(pod)
	case o.Container != "":
		return []string{o.Container}
	}
	return []string{knative.UserContainerName(pod.Spec)}
}

func containerNames(pod *corev1.Pod) []string {
	var names []string
	for _, c := range pod.Spec.Containers {
		names = append(names, c.Name)
	}
	return names
}

// Logs hands the log lines of a service's pods to emit, one call at a time.
// Without Follow it reads each log to its end, the oldest pod first, and returns
// how many logs there were; with Follow it takes in pods as they come, goes on
// after restarts and cut connections, and ends with ctx, an error of emit, or when
// the API server is gone for good. It fails with NotFound when there are pods and
// none has the container.
func (c *Client) Logs(ctx context.Context, o LogOptions, emit func(LogLine) error) (logs int, err error) {
	list, err := c.ListPods(ctx, o.Selector())
	if err != nil {
		return 0, err
	}
	pods := setOf(pointers(list)).sorted()
	if err := checkContainer(pods, o); err != nil {
		return 0, err
	}
	if o.Follow {
		return c.followLogs(ctx, o, emit)
	}
	for _, pod := range pods {
		for _, s := range streamsOf(pod, o) {
			err := c.readLog(ctx, s, o, emit)
			switch {
			case err == nil:
				logs++
			case fault.KindOf(err) != fault.NotFound: // deleted since the list
				return logs, err
			}
		}
	}
	return logs, nil
}

// checkContainer refuses a container that none of the pods has.
func checkContainer(pods []*corev1.Pod, o LogOptions) error {
	if o.Container == "" || len(pods) == 0 {
		return nil
	}
	var names []string
	for _, pod := range pods {
		names = append(names, containerNames(pod)...)
	}
	if slices.Contains(names, o.Container) {
		return nil
	}
	slices.Sort(names)
	return fault.New(fault.NotFound, "cluster.logs", "service/"+o.Service, "its pods have no container %q", o.Container).
		WithHint("they have: %s", strings.Join(slices.Compact(names), ", "))
}

// stream is the log of one container of one pod, over its restarts.
type stream struct {
	key       streamKey
	restarts  int32
	running   bool
	line      LogLine // without text
	fromStart bool    // it began after the watch did: nothing of it has been missed
}

type streamKey struct {
	pod       types.UID
	container string
}

// streamsOf returns the logs of a pod that are meant and have been written to.
func streamsOf(pod *corev1.Pod, o LogOptions) []stream {
	var out []stream
	wanted := o.containers(pod)
	for _, status := range pod.Status.ContainerStatuses {
		started := status.State.Running != nil || status.State.Terminated != nil || status.RestartCount > 0
		if !started || o.Previous && status.RestartCount == 0 || !slices.Contains(wanted, status.Name) {
			continue
		}
		out = append(out, stream{
			key: streamKey{pod.UID, status.Name}, restarts: status.RestartCount, running: status.State.Running != nil,
			line: LogLine{Revision: pod.Labels[serving.RevisionLabelKey], Pod: pod.Name, Container: status.Name},
		})
	}
	return out
}
