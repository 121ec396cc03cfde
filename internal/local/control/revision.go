package control

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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
	if c.takesOver(rev) {
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

// takesOver reports whether what an earlier revision of this name has left is still
// there. Its deletion brings the task back.
func (c *Controller) takesOver(rev *servingv1.Revision) bool {
	deployment, ok := store.Get[*appsv1.Deployment](c.Store, rev.Namespace, deploymentName(rev))
	if ok && c.doomed(deployment) {
		return true
	}
	autoscaler, ok := store.Get[*autoscalingv1alpha1.PodAutoscaler](c.Store, rev.Namespace, rev.Name)
	return ok && c.doomed(autoscaler)
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

// givenUp reports whether a revision has failed and no route wants it: the platform does
// not try it anew when it starts.
func givenUp(rev *servingv1.Revision, was corev1.ConditionStatus) bool {
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
		pod = explaining(c.podsOf(have))
	}
	markDeployment(rev, have, pod)
	return have, nil
}

func (c *Controller) createDeployment(rev *servingv1.Revision, was corev1.ConditionStatus) (*appsv1.Deployment, error) {
	autoscaler, _ := store.Get[*autoscalingv1alpha1.PodAutoscaler](c.Store, rev.Namespace, rev.Name)
	if !givenUp(rev, was) {
		rev.Status.MarkResourcesAvailableUnknown(servingv1.ReasonDeploying, "")
		rev.Status.MarkContainerHealthyUnknown(servingv1.ReasonDeploying, "")
	}
	want := desiredDeployment(rev, firstReplicas(rev, autoscaler, was))
	if *want.Spec.Replicas == 0 {
		// There is nothing to wait for, and with many services much to write.
		want.Generation = 1
		markReplicas(want, templateHash(want), nil, nil, c.Now())
	}
	made, err := create(c, want)
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
	case givenUp(rev, was), was == corev1.ConditionTrue && rev.GetRoutingState() == servingv1.RoutingStateReserve:
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

// explaining returns the pod whose containers say most about why none is available:
// one that has tried and failed, or else any.
func explaining(pods []*corev1.Pod) *corev1.Pod {
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

// revisionAutoscaler makes the autoscaler of a revision, brings it up to date, and
// takes over what it says.
func (c *Controller) revisionAutoscaler(rev *servingv1.Revision, deployment *appsv1.Deployment, was corev1.ConditionStatus) error {
	have, ok := store.Get[*autoscalingv1alpha1.PodAutoscaler](c.Store, rev.Namespace, rev.Name)
	if !ok {
		want := desiredAutoscaler(rev, deployment)
		if was == corev1.ConditionTrue || givenUp(rev, was) {
			continueScaling(want, *deployment.Spec.Replicas, was == corev1.ConditionTrue, c.Now())
		}
		made, err := create(c, want)
		if err != nil {
			return fmt.Errorf("failed to create PA %q: %w", rev.Name, err)
		}
		have = made
	} else if !metav1.IsControlledBy(have, rev) {
		rev.Status.MarkResourcesAvailableFalse(servingv1.ReasonNotOwned, servingv1.ResourceNotOwnedMessage("PodAutoscaler", rev.Name))
		return fmt.Errorf("revision: %q does not own PodAutoscaler: %q", rev.Name, rev.Name)
	}
	rev.Status.PropagateAutoscalerStatus(&have.Status)
	want := desiredAutoscaler(rev, deployment)
	if sameMeta(have, want) && equality.Semantic.DeepEqual(have.Spec, want.Spec) {
		return nil
	}
	next := have.DeepCopy()
	next.Labels, next.Annotations, next.Spec = want.Labels, want.Annotations, want.Spec
	if _, err := update(c, next); err != nil {
		return fmt.Errorf("failed to update PA %q: %w", rev.Name, err)
	}
	return nil
}

// continueScaling gives the new autoscaler of a revision what it had come to in the
// platform's last run: one that was ready stays so at zero, and its initial scale is not
// tried again. It is what the autoscaler itself would say, who then has nothing to write.
func continueScaling(pa *autoscalingv1alpha1.PodAutoscaler, replicas int32, ready bool, now time.Time) {
	status := &pa.Status
	status.InitializeConditions()
	status.ServiceName, status.MetricsServiceName = pa.Name, pa.Name+"-private"
	status.MarkSKSNotReady("K8s Service is not ready")
	status.DesiredScale, status.ActualScale = &replicas, new(int32)
	if ready {
		status.MarkScaleTargetInitialized()
	}
	switch {
	case !ready:
		status.MarkInactive("TimedOut", "The target could not be activated.")
	case replicas == 0:
		status.MarkInactive("NoTraffic", "The target is not receiving traffic.")
	default:
		status.MarkActivating("Queued", "Requests to the target are being buffered as resources are provisioned.")
	}
	for i := range status.Conditions {
		status.Conditions[i].LastTransitionTime.Inner = metav1.NewTime(now.Truncate(time.Second))
	}
	status.ObservedGeneration = 1
}

// desiredAutoscaler is the autoscaler of a revision.
func desiredAutoscaler(rev *servingv1.Revision, deployment *appsv1.Deployment) *autoscalingv1alpha1.PodAutoscaler {
	pa := &autoscalingv1alpha1.PodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{
			Name: rev.Name, Namespace: rev.Namespace,
			Labels:          resourceLabels(rev),
			Annotations:     without(rev.Annotations, revisionOnly()...),
			OwnerReferences: ownedBy(rev),
		},
		Spec: autoscalingv1alpha1.PodAutoscalerSpec{
			ContainerConcurrency: rev.Spec.GetContainerConcurrency(),
			ScaleTargetRef:       corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: deploymentName(rev)},
			ProtocolType:         rev.GetProtocol(),
			Reachability:         reachability(rev, deployment),
		},
	}
	if pa.Annotations[autoscaling.ClassAnnotationKey] == "" {
		pa.Annotations[autoscaling.ClassAnnotationKey] = autoscaling.KPA
	}
	if pa.Annotations[autoscaling.MetricAnnotationKey] == "" {
		pa.Annotations[autoscaling.MetricAnnotationKey] = pa.Metric()
	}
	return pa
}

// reachability says whether requests can come to a revision: then it may have its
// minimal scale.
func reachability(rev *servingv1.Revision, deployment *appsv1.Deployment) autoscalingv1alpha1.ReachabilityType {
	failed := rev.Status.GetCondition(servingv1.RevisionConditionResourcesAvailable).IsFalse() ||
		rev.Status.GetCondition(servingv1.RevisionConditionContainerHealthy).IsFalse()
	if failed && *deployment.Spec.Replicas > 0 && deployment.Status.ReadyReplicas == 0 {
		return autoscalingv1alpha1.ReachabilityUnreachable
	}
	switch rev.GetRoutingState() {
	case servingv1.RoutingStateActive:
		return autoscalingv1alpha1.ReachabilityReachable
	case servingv1.RoutingStateReserve:
		return autoscalingv1alpha1.ReachabilityUnreachable
	case servingv1.RoutingStatePending, servingv1.RoutingStateUnset:
	}
	return autoscalingv1alpha1.ReachabilityUnknown
}

// withoutAutoscaling returns annotations that concern more than the autoscaler.
func withoutAutoscaling(annotations map[string]string) map[string]string {
	out := without(annotations, revisionOnly()...)
	maps.DeleteFunc(out, func(key, _ string) bool { return strings.HasPrefix(key, autoscaling.GroupName) })
	return out
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
