package control

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/autoscaling"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// syncRevision resolves the digests of a revision, makes its deployment and its
// autoscaler, and takes over what they and the pods say.
func (c *Controller) syncRevision(rev *servingv1.Revision) (time.Duration, error) {
	was := outcome(rev)
	resolved, after, err := c.resolveDigests(rev)
	if err != nil {
		if said := rev.Status.GetCondition(servingv1.RevisionConditionContainerHealthy); said.GetMessage() != err.Error() {
			c.events.record(rev, corev1.EventTypeWarning, "InternalError", "%v", err)
		}
		rev.Status.MarkContainerHealthyFalse(servingv1.ReasonContainerMissing, err.Error())
		return after, nil
	}
	if !resolved {
		rev.Status.MarkResourcesAvailableUnknown(servingv1.ReasonResolvingDigests, "")
		return 0, nil
	}
	if c.predecessorRemains(rev) {
		rev.Status.MarkResourcesAvailableUnknown(servingv1.ReasonDeploying, "")
		return 0, nil
	}
	deployment, err := c.revisionDeployment(rev, was)
	if err != nil {
		return 0, err
	}
	if err := c.revisionAutoscaler(rev, deployment, was); err != nil {
		return 0, err
	}
	if was != corev1.ConditionTrue && rev.Status.GetCondition(servingv1.RevisionConditionReady).IsTrue() {
		c.events.record(rev, corev1.EventTypeNormal, "RevisionReady", "Revision becomes ready upon all resources being ready")
	}
	return 0, nil
}

// predecessorRemains reports whether what an earlier revision of this name has left is still
// there. Its deletion brings the task back.
func (c *Controller) predecessorRemains(rev *servingv1.Revision) bool {
	deployment, ok := store.Get[*appsv1.Deployment](c.Store, rev.Namespace, deploymentName(rev))
	if ok && c.ownerGone(deployment) {
		return true
	}
	autoscaler, ok := store.Get[*autoscalingv1alpha1.PodAutoscaler](c.Store, rev.Namespace, rev.Name)
	return ok && c.ownerGone(autoscaler)
}

// outcome returns what had become of a revision before: ready, failed with its pods, or
// neither yet.
func outcome(rev *servingv1.Revision) corev1.ConditionStatus {
	switch {
	case rev.IsReady():
		return corev1.ConditionTrue
	case rev.IsFailed() && len(rev.Status.ContainerStatuses) > 0:
		return corev1.ConditionFalse
	}
	return corev1.ConditionUnknown
}

// abandoned reports whether a revision has failed and no route wants it: the platform does
// not try it anew when it starts.
func abandoned(rev *servingv1.Revision, was corev1.ConditionStatus) bool {
	return was == corev1.ConditionFalse && rev.GetRoutingState() == servingv1.RoutingStateReserve
}

// revisionDeployment makes the deployment of a revision, or takes over what it says.
func (c *Controller) revisionDeployment(rev *servingv1.Revision, was corev1.ConditionStatus) (*appsv1.Deployment, error) {
	name := deploymentName(rev)
	have, ok := store.Get[*appsv1.Deployment](c.Store, rev.Namespace, name)
	if !ok {
		return c.createDeployment(rev, was)
	}
	if !metav1.IsControlledBy(have, rev) {
		rev.Status.MarkResourcesAvailableFalse(servingv1.ReasonNotOwned, servingv1.ResourceNotOwnedMessage("Deployment", name))
		return nil, fmt.Errorf("revision: %q does not own Deployment: %q", rev.Name, name)
	}
	var pod *corev1.Pod
	if *have.Spec.Replicas > 0 && have.Status.AvailableReplicas == 0 {
		pod = podToReport(c.podsOf(have))
	}
	markDeployment(rev, have, pod)
	return have, nil
}

func (c *Controller) createDeployment(rev *servingv1.Revision, was corev1.ConditionStatus) (*appsv1.Deployment, error) {
	autoscaler, _ := store.Get[*autoscalingv1alpha1.PodAutoscaler](c.Store, rev.Namespace, rev.Name)
	if !abandoned(rev, was) {
		rev.Status.MarkResourcesAvailableUnknown(servingv1.ReasonDeploying, "")
		rev.Status.MarkContainerHealthyUnknown(servingv1.ReasonDeploying, "")
	}
	want := desiredDeployment(rev, firstReplicas(rev, autoscaler, was))
	if *want.Spec.Replicas == 0 {
		// There is nothing to wait for, and with many services much to write.
		want.Generation = 1
		markReplicas(want, templateHash(want), nil, nil, c.Now())
	}
	err := checkResources(want)
	var made *appsv1.Deployment
	if err == nil {
		made, err = create(c, want)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to create deployment %q: %w", want.Name, err)
	}
	return made, nil
}

// firstReplicas returns with how many pods a deployment starts; was is the revision's
// Ready of before. One that has been ready goes on as its autoscaler says, or, when that
// is gone with the platform's last run, with the least that it may have.
func firstReplicas(rev *servingv1.Revision, autoscaler *autoscalingv1alpha1.PodAutoscaler, was corev1.ConditionStatus) int32 {
	switch {
	case autoscaler != nil && autoscaler.Status.GetDesiredScale() >= 0:
		return autoscaler.Status.GetDesiredScale()
	case abandoned(rev, was), was == corev1.ConditionTrue && rev.GetRoutingState() == servingv1.RoutingStateReserve:
		return 0
	case was == corev1.ConditionTrue:
		return scaleAnnotation(rev, autoscaling.MinScaleAnnotation, 0)
	}
	return scaleAnnotation(rev, autoscaling.InitialScaleAnnotation, 1)
}

func scaleAnnotation(rev *servingv1.Revision, names []string, otherwise int32) int32 {
	for _, name := range names {
		if n, err := strconv.ParseInt(rev.Annotations[name], 10, 32); err == nil {
			return int32(n)
		}
	}
	return otherwise
}

// podToReport returns the pod whose containers say most about why none is available:
// one that has tried and failed, or else any.
func podToReport(pods []*corev1.Pod) *corev1.Pod {
	var found *corev1.Pod
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		for _, s := range pod.Status.ContainerStatuses {
			if s.LastTerminationState.Terminated != nil {
				return pod
			}
		}
		if found == nil {
			found = pod
		}
	}
	return found
}

// markDeployment takes over what a deployment says, and what pod says where none is
// available.
func markDeployment(rev *servingv1.Revision, deployment *appsv1.Deployment, pod *corev1.Pod) {
	rev.Status.PropagateDeploymentStatus(&deployment.Status)
	if pod != nil {
		markPod(rev, pod, timedOut(deployment))
	}
	if deployment.Status.ReadyReplicas > 0 {
		rev.Status.MarkContainerHealthyTrue()
	}
}

func markPod(rev *servingv1.Revision, pod *corev1.Pod, late bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			rev.Status.MarkResourcesAvailableFalse(condition.Reason, condition.Message)
			break
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		if ended := s.LastTerminationState.Terminated; ended != nil {
			message := ended.Message
			if ended.ExitCode == 0 && message == "" {
				message = "container exited with no error"
			}
			rev.Status.MarkContainerHealthyFalse(servingv1.ExitCodeReason(ended.ExitCode), servingv1.RevisionContainerExitingMessage(message))
			return
		}
		if waiting := s.State.Waiting; waiting != nil && late {
			rev.Status.MarkResourcesAvailableFalse(waiting.Reason, waiting.Message)
			return
		}
	}
}

// timedOut reports whether a deployment has made no progress until its deadline.
func timedOut(deployment *appsv1.Deployment) bool {
	progressing := deploymentCondition(&deployment.Status, appsv1.DeploymentProgressing)
	return progressing != nil && progressing.Status == corev1.ConditionFalse && progressing.Reason == servingv1.ReasonProgressDeadlineExceeded
}

// podsOf returns the pods of a deployment.
func (c *Controller) podsOf(deployment *appsv1.Deployment) []*corev1.Pod {
	var pods []*corev1.Pod
	for _, object := range c.Store.Owned(deployment.UID) {
		if pod, ok := object.(*corev1.Pod); ok {
			pods = append(pods, pod)
		}
	}
	return slices.Clip(pods)
}
