package control

import (
	"fmt"
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

// revisionAutoscaler makes the autoscaler of a revision, brings it up to date, and
// takes over what it says.
func (c *Controller) revisionAutoscaler(rev *servingv1.Revision, deployment *appsv1.Deployment, was corev1.ConditionStatus) error {
	have, ok := store.Get[*autoscalingv1alpha1.PodAutoscaler](c.Store, rev.Namespace, rev.Name)
	if !ok {
		want := desiredAutoscaler(rev, deployment)
		if was == corev1.ConditionTrue || abandoned(rev, was) {
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

// desiredAutoscaler returns the autoscaler of a revision.
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
