package coldstart

import (
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/knative"
)

// See notes in m what is new in pods, as seen at now. Pods of earlier rounds, which
// are in before or on their way out, do not count.
func (m *Marks) See(pods []*corev1.Pod, before map[string]bool, now time.Time) {
	for _, pod := range pods {
		if before[pod.Name] || pod.DeletionTimestamp != nil {
			continue
		}
		first(&m.Created, now)
		for _, c := range pod.Status.Conditions {
			switch {
			case c.Status != corev1.ConditionTrue:
			case c.Type == corev1.PodScheduled:
				first(&m.Scheduled, now)
			case c.Type == corev1.PodReady:
				first(&m.Ready, now)
			}
		}
		user := knative.UserContainerName(pod.Spec)
		for _, s := range pod.Status.ContainerStatuses {
			if s.Name == user && s.State.Running != nil {
				first(&m.Started, now)
			}
		}
	}
}

func first(mark *time.Time, now time.Time) {
	if mark.IsZero() {
		*mark = now
	}
}

// PullTime returns how long the kubelet says that pulling a pod's images took; 0
// where they were there. It says it in words only: "Successfully pulled image … in
// 1.2s (1.2s including waiting). …".
func PullTime(events []corev1.Event) time.Duration {
	took := regexp.MustCompile(`^Successfully pulled image .* in ([0-9.a-zµ]+) \(([0-9.a-zµ]+) including waiting\)`)
	var longest time.Duration
	for i := range events {
		if events[i].Reason != "Pulled" {
			continue
		}
		if m := took.FindStringSubmatch(events[i].Message); m != nil {
			// The containers' images are pulled beside each other or one after the other;
			// the longest is what the pod waits for at least.
			if d, err := time.ParseDuration(m[2]); err == nil {
				longest = max(longest, d)
			}
		}
	}
	return longest
}
