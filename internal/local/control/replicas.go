package control

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// The reasons of a deployment's conditions, as the deployment controller of a cluster
// gives them.
const (
	reasonAvailable   = "MinimumReplicasAvailable"
	reasonUnavailable = "MinimumReplicasUnavailable"
	reasonComplete    = "NewReplicaSetAvailable"
	reasonUpdated     = "ReplicaSetUpdated"
	reasonCreated     = "NewReplicaSetCreated"
	reasonFailed      = "FailedCreate"
)

// markReplicas writes the status of a deployment from its pods; failure is why one
// could not be created. It returns when the deployment is late unless something
// happens, 0 for never.
func markReplicas(d *appsv1.Deployment, hash string, pods []*corev1.Pod, failure error, now time.Time) time.Duration {
	before := d.Status
	countPods(d, hash, pods)
	status := &d.Status
	if status.AvailableReplicas >= *d.Spec.Replicas {
		setDeploymentCondition(status, appsv1.DeploymentAvailable, corev1.ConditionTrue, reasonAvailable, "Deployment has minimum availability.", now)
	} else {
		setDeploymentCondition(status, appsv1.DeploymentAvailable, corev1.ConditionFalse, reasonUnavailable, "Deployment does not have minimum availability.", now)
	}
	if failure != nil {
		setDeploymentCondition(status, appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, reasonFailed, failure.Error(), now)
	} else {
		dropDeploymentCondition(status, appsv1.DeploymentReplicaFailure)
	}
	return markProgress(d, &before, hash, now)
}

func countPods(d *appsv1.Deployment, hash string, pods []*corev1.Pod) {
	status := &d.Status
	status.ObservedGeneration = d.Generation
	var terminating int32
	status.Replicas, status.UpdatedReplicas, status.ReadyReplicas = 0, 0, 0
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			terminating++
			continue
		}
		status.Replicas++
		if pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] == hash {
			status.UpdatedReplicas++
		}
		if podReady(pod) {
			status.ReadyReplicas++
		}
	}
	status.TerminatingReplicas = &terminating
	status.AvailableReplicas = status.ReadyReplicas
	status.UnavailableReplicas = max(*d.Spec.Replicas-status.AvailableReplicas, 0)
}

// markProgress writes the condition Progressing. A deployment that has been complete
// once is never late, however it is scaled afterwards.
func markProgress(d *appsv1.Deployment, before *appsv1.DeploymentStatus, hash string, now time.Time) time.Duration {
	status, want := &d.Status, *d.Spec.Replicas
	set := d.Name + "-" + hash
	progressing := deploymentCondition(status, appsv1.DeploymentProgressing)
	complete := status.UpdatedReplicas == want && status.Replicas == want && status.AvailableReplicas >= want
	done := progressing != nil && progressing.Reason == reasonComplete && status.Replicas == status.UpdatedReplicas
	switch {
	case complete || done:
		setDeploymentCondition(status, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonComplete,
			"ReplicaSet \""+set+"\" has successfully progressed.", now)
		return 0
	case progressing == nil:
		setDeploymentCondition(status, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonCreated,
			"Created new replica set \""+set+"\"", now)
	case advanced(before, status):
		// The time of the last step counts, even when the words stay the same.
		dropDeploymentCondition(status, appsv1.DeploymentProgressing)
		setDeploymentCondition(status, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonUpdated,
			"ReplicaSet \""+set+"\" is progressing.", now)
	}
	if timedOut(d) {
		return 0
	}
	progressing = deploymentCondition(status, appsv1.DeploymentProgressing)
	left := progressing.LastUpdateTime.Add(time.Duration(*d.Spec.ProgressDeadlineSeconds) * time.Second).Sub(now)
	if left > 0 {
		return left
	}
	setDeploymentCondition(status, appsv1.DeploymentProgressing, corev1.ConditionFalse, servingv1.ReasonProgressDeadlineExceeded,
		"ReplicaSet \""+set+"\" has timed out progressing.", now)
	return 0
}

// advanced reports whether more pods are there, or ready, than before.
func advanced(before, now *appsv1.DeploymentStatus) bool {
	return now.UpdatedReplicas > before.UpdatedReplicas || now.ReadyReplicas > before.ReadyReplicas ||
		now.Replicas-now.UpdatedReplicas < before.Replicas-before.UpdatedReplicas
}

func deploymentCondition(status *appsv1.DeploymentStatus, kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == kind {
			return &status.Conditions[i]
		}
	}
	return nil
}

func setDeploymentCondition(status *appsv1.DeploymentStatus, kind appsv1.DeploymentConditionType, value corev1.ConditionStatus, reason, message string, now time.Time) {
	at := metav1.NewTime(now)
	next := appsv1.DeploymentCondition{Type: kind, Status: value, Reason: reason, Message: message, LastUpdateTime: at, LastTransitionTime: at}
	have := deploymentCondition(status, kind)
	switch {
	case have == nil:
		status.Conditions = append(status.Conditions, next)
	case have.Status == value && have.Reason == reason && have.Message == message:
	default:
		if have.Status == value {
			next.LastTransitionTime = have.LastTransitionTime
		}
		*have = next
	}
}

func dropDeploymentCondition(status *appsv1.DeploymentStatus, kind appsv1.DeploymentConditionType) {
	for i := range status.Conditions {
		if status.Conditions[i].Type == kind {
			status.Conditions = append(status.Conditions[:i:i], status.Conditions[i+1:]...)
			return
		}
	}
}
