package clusterbuild

import (
	"cmp"
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// sight is what a pod looks like.
type sight struct {
	running bool
	ended   *corev1.ContainerStateTerminated // with the pod's own end if the container has none
	waits   string                           // why it does not run yet, for people
	fatal   error                            // why it never will
}

// look reads a pod's status.
func look(pod *corev1.Pod, image string) sight {
	var state corev1.ContainerState
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == Container {
			state = status.State
		}
	}
	switch {
	case state.Terminated != nil:
		return sight{ended: state.Terminated}
	case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
		return sight{ended: &corev1.ContainerStateTerminated{Reason: pod.Status.Reason}}
	case state.Running != nil:
		return sight{running: true}
	case state.Waiting != nil:
		return waiting(state.Waiting, image)
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return sight{waits: "no node takes it: " + condition.Message}
		}
	}
	return sight{waits: "waiting for a node"}
}

func waiting(w *corev1.ContainerStateWaiting, image string) sight {
	why := cmp.Or(w.Message, w.Reason)
	switch w.Reason {
	case "ErrImagePull":
		return sight{waits: "its image cannot be pulled: " + why}
	case "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable":
		return sight{fatal: fault.New(fault.NotFound, "clusterbuild.start", image, "the node cannot pull the image of the build pod: %s", why).
			WithHint("the nodes have to reach the registry, with the credentials that you push with; {Pod.Image} names another image")}
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError":
		return sight{fatal: fault.New(fault.Failure, "clusterbuild.start", image, "the node cannot start the build pod: %s: %s", w.Reason, why).
			WithHint("%s", alternatives)}
	}
	return sight{waits: strings.TrimSuffix(strings.TrimPrefix(why, "ContainerCreating")+", ", ", ")}
}

// alternatives are the ways around a cluster that does not build.
const alternatives = `build elsewhere:
  {Pod.Namespace} NAME   another namespace, with other rules
  {Builder} dockerfile       on a Linux machine, with no cluster
  {Builder} layers           Go, Node, Python and others, with no Dockerfile`

// refusedPod is admission's no.
func refusedPod(namespace string, err error) error {
	cause := err
	if e, ok := errors.AsType[*fault.Error](err); ok {
		cause = e.Err
	}
	return fault.New(fault.Auth, "clusterbuild.admission", "namespace/"+namespace, "%w", cause).
		WithHint("a Dockerfile's RUN needs a pod that is root in its container, as Pod Security's level \"baseline\" admits it;\na quota wants {Pod.Resources} cpu=1,memory=2Gi. Or %s", alternatives)
}

// conclude turns the end of the pod into a result or an error. What was done to
// the pod comes before what the pod says about it.
func conclude(pod *corev1.Pod, end *corev1.ContainerStateTerminated, program Program) (*Result, error) {
	result, said := program.Conclude(pod.Name, end)
	if said == nil {
		return result, nil
	}
	fail := func(kind fault.Kind, format string, args ...any) *fault.Error {
		return fault.New(kind, "clusterbuild.run", "pod/"+pod.Name, format, args...)
	}
	switch reason := cmp.Or(pod.Status.Reason, end.Reason); {
	case end.Reason == "OOMKilled":
		return nil, fail(fault.Build, "the build was killed: it needs more memory than its container may have").
			WithHint("give it more: {Pod.Resources} memory=4Gi")
	case reason == "DeadlineExceeded":
		return nil, fail(fault.Timeout, "the build took longer than its deadline").WithHint("{Timeout} gives it more time")
	case reason == "Evicted":
		return nil, fail(fault.Transient, "the node has evicted the build: %s", pod.Status.Message).
			WithHint("ask for what it needs: {Pod.Resources} memory=4Gi,ephemeral-storage=20Gi")
	case pod.DeletionTimestamp != nil:
		return nil, fail(fault.Transient, "somebody deleted the build pod").WithHint("try again")
	case reason == "NodeLost", reason == "Shutdown", reason == "Terminated":
		return nil, fail(fault.Transient, "the build was taken off its node: %s", cmp.Or(pod.Status.Message, reason)).WithHint("try again")
	}
	return nil, said
}

// explain is the pod's own error, in words that fit where the user is.
func explain(f *failure, namespace string) error {
	err := f.fault()
	if f.Sandbox {
		return fault.New(fault.Conflict, err.Op, "namespace/"+namespace, "the pod gets no sandbox: %w", err.Err).
			WithHint("the nodes' default profile for seccomp or AppArmor is in the way, and this namespace admits no other;\none that Pod Security leaves at \"privileged\" does. Or %s", alternatives)
	}
	return err
}
