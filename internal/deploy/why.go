package deploy

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/knative"
)

// Evidence is everything that has been seen of a revision that is not ready.
// Any part of it may be missing, for want of rights or of time.
type Evidence struct {
	Now      time.Time
	Revision string

	Service      *servingv1.Service
	Object       *servingv1.Revision
	ServiceGone  bool
	RevisionGone bool
	Deployments  []appsv1.Deployment
	Pods         []*corev1.Pod // oldest first
	Events       []corev1.Event
	Log          []string            // last lines of the user's container
	OtherLogs    map[string][]string // the same of the other containers, by their names
}

// logOf returns the last lines of one of the pod's containers.
func (e Evidence) logOf(pod *corev1.Pod, container string) []string {
	if container == knative.UserContainerName(pod.Spec) {
		return e.Log
	}
	return e.OtherLogs[container]
}

// Code tells causes apart: a finding has stood as long as its code is the same.
type Code string

// The causes that are told apart.
const (
	Pending           Code = "pending" // nothing is wrong so far
	Deleted           Code = "deleted"
	NameTaken         Code = "name-taken"
	NotCreated        Code = "not-created"
	ImagePull         Code = "image-pull"
	WrongArchitecture Code = "wrong-architecture"
	BadCommand        Code = "bad-command"
	ConfigMissing     Code = "config-missing"
	Crash             Code = "crash"
	Exited            Code = "exited"
	OutOfMemory       Code = "out-of-memory"
	Unhealthy         Code = "unhealthy" // liveness probe
	WrongPort         Code = "wrong-port"
	NotReady          Code = "not-ready" // readiness probe
	Unschedulable     Code = "unschedulable"
	Quota             Code = "quota"
	Refused           Code = "refused" // by an admission webhook
	WebhookAway       Code = "webhook-away"
	PodSecurity       Code = "pod-security"
	LimitRange        Code = "limit-range"
	NoServiceAccount  Code = "no-service-account"
	NoClass           Code = "no-class" // runtime or priority class
	NoNodeMatches     Code = "no-node-matches"
	NodePressure      Code = "node-pressure"
	VolumeClaim       Code = "volume-claim"
	NoSandbox         Code = "no-sandbox"
	NoIngress         Code = "no-ingress"
	Failed            Code = "failed" // Knative says so, for a reason not known here
)

// Finding is what is wrong, or what is being waited for.
type Finding struct {
	Code    Code
	Cause   string // one sentence
	Fix     string // what to do; may have several lines
	Waiting string // a few words for the line that moves
	// Terminal: it will not get well by waiting. It counts once it has stood
	// for Settle.
	Terminal bool
	Settle   time.Duration
	Log      []string // of the user's container, where that helps
}

// How long findings have to stand.
const (
	settleShort = 2 * time.Second  // states that controllers correct at once if they were wrong
	settlePull  = 15 * time.Second // two attempts at pulling: the first may meet a registry that starts
	settleLong  = 10 * time.Second // conditions that depend on other objects
)

// Diagnose walks service → configuration → revision → pods → deployment and
// names the cause that is nearest to the user's own doing.
func Diagnose(e Evidence) Finding {
	for _, look := range []func(Evidence) *Finding{gone, notCreated, podTrouble, deploymentTrouble, revisionEvent, revisionTrouble} {
		if f := look(e); f != nil {
			return *f
		}
	}
	return waiting(e)
}

func gone(e Evidence) *Finding {
	switch {
	case e.ServiceGone:
		return &Finding{
			Code: Deleted, Terminal: true, Settle: settleShort, Waiting: "the service is gone",
			Cause: "the service was deleted while its revision was becoming ready",
		}
	case e.RevisionGone:
		return &Finding{
			Code: Deleted, Terminal: true, Settle: settleShort, Waiting: "the revision is gone",
			Cause: "the revision was deleted while it was becoming ready",
		}
	}
	return nil
}

// notCreated is for a configuration that could not make the revision.
func notCreated(e Evidence) *Finding {
	if e.Object != nil || e.Service == nil || e.Service.Status.ObservedGeneration < e.Service.Generation {
		return nil
	}
	for _, kind := range []string{"ConfigurationsReady", "Ready"} {
		for _, c := range e.Service.Status.Conditions {
			if string(c.Type) != kind || c.Status != corev1.ConditionFalse {
				continue
			}
			f := &Finding{
				Code: NotCreated, Terminal: true, Settle: settleShort, Waiting: words(c.Reason, c.Message),
				Cause: "the revision could not be created: " + words(c.Reason, c.Message),
			}
			if c.Reason == "RevisionNameTaken" {
				f.Code, f.Fix = NameTaken, "another revision has this name; omit {Revision} to get the next free number"
			}
			return f
		}
	}
	return nil
}

// deploymentTrouble is for pods that could not be created at all.
func deploymentTrouble(e Evidence) *Finding {
	for i := range e.Deployments {
		for _, c := range e.Deployments[i].Status.Conditions {
			if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
				return notAdmitted(c.Message)
			}
		}
	}
	return nil
}

// revisionEvent is for a deployment that could not be made: then there are neither
// pods nor a condition, and only an event on the revision says why.
func revisionEvent(e Evidence) *Finding {
	if len(e.Pods) > 0 || len(e.Deployments) > 0 {
		return nil
	}
	message := eventMessage(e, e.Revision, "InternalError", "failed to create")
	if message == "" {
		return nil
	}
	f := notAdmitted(message)
	f.Settle = settleShort
	f.Cause = "it cannot be set up: " + shorten(message)
	if mentions(message, "is invalid") {
		f.Waiting = "its deployment is invalid"
		f.Fix = "correct what the message names, e.g. resources, probes or volumes in func.yaml"
	}
	return f
}

// notAdmitted explains a pod that the API server refuses. Only its words tell why.
func notAdmitted(message string) *Finding {
	if k := lookupCause(atAdmission, message); k != nil {
		return k.finding(message)
	}
	return &Finding{
		Code: Refused, Terminal: true, Settle: settleLong, Waiting: "its pods are refused",
		Cause: "its pods may not be created: " + message,
		Fix:   "the words are those of the API server or of an admission policy of the namespace",
	}
}

// revisionTrouble believes what Knative says when nothing nearer was found.
func revisionTrouble(e Evidence) *Finding {
	if stateOf(e.Object) != corev1.ConditionFalse {
		return nil
	}
	ready := e.Object.Status.GetCondition(servingv1.RevisionConditionReady)
	text := words(ready.Reason, ready.Message)
	f := &Finding{
		Code: Failed, Terminal: true, Settle: settleLong, Waiting: ready.Reason, Cause: text, Log: e.Log,
		Fix: "see `kubectl describe revision " + e.Revision + "`",
	}
	switch {
	case ready.Reason == servingv1.ReasonContainerMissing:
		f.Code, f.Settle = ImagePull, settleShort
		f.Cause = "the image cannot be found by the cluster: " + ready.Message
		f.Fix = pullFix(ready.Message, nil)
	case mentions(ready.Message, "exceeded quota"):
		return notAdmitted(ready.Message)
	}
	return f
}

// waiting is for a revision that is on its way.
func waiting(e Evidence) Finding {
	f := Finding{Code: Pending, Waiting: "waiting for the cluster to create it"}
	if pod := newest(e.Pods); pod != nil {
		f.Waiting = podWaiting(pod)
	} else if e.Object != nil {
		f.Waiting = "waiting for its first pod"
		if c := e.Object.Status.GetCondition(servingv1.RevisionConditionReady); c != nil && c.Reason != "" {
			f.Waiting = words(c.Reason, c.Message)
		}
	}
	f.Cause = "it is still on its way: " + f.Waiting
	f.Fix = "give it longer with {Timeout}, or see `kubectl describe revision " + e.Revision + "`"
	return f
}

// podWaiting returns what a healthy pod is waiting for.
func podWaiting(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status != corev1.ConditionTrue {
			return "its pod waits for a node"
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		if w := s.State.Waiting; w != nil && w.Reason != "" {
			if w.Reason == containerCreating {
				return "its pod is being created (pulling the image, mounting volumes)"
			}
			return w.Reason
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return "its pod is ready, waiting for Knative"
		}
	}
	if len(pod.Status.ContainerStatuses) == 0 {
		return "its pod is being created"
	}
	return "its container runs and is not ready yet"
}

// routeFinding explains a route that is not ready.
func routeFinding(svc *servingv1.Service) Finding {
	f := Finding{Code: Failed, Fix: "see `kubectl describe route` and the logs of the cluster's ingress controller"}
	if svc == nil {
		return f
	}
	c := svc.Status.GetCondition(servingv1.ServiceConditionRoutesReady)
	if c != nil && (c.Reason == "IngressNotConfigured" || c.Reason == "Uninitialized" || c.Reason == "") {
		f.Code = NoIngress
		f.Fix = "no ingress controller has taken the route up: is one installed and running, and does it serve the class that\n" +
			"`kubectl -n knative-serving get configmap config-network -o jsonpath={.data.ingress-class}` names?"
	} else if k := lookupCause(atRoute, c.GetReason()+" "+c.GetMessage()); k != nil {
		f.Fix = k.fix
	}
	return f
}

// newest is the pod that says most about the present state.
func newest(pods []*corev1.Pod) *corev1.Pod {
	for i := len(pods) - 1; i >= 0; i-- {
		if pods[i].DeletionTimestamp == nil {
			return pods[i]
		}
	}
	return nil
}

// port is where the revision's container is asked.
func port(rev *servingv1.Revision) int32 {
	if rev != nil {
		c := knative.UserContainer(rev.Spec.Containers)
		if c != nil && len(c.Ports) > 0 && c.Ports[0].ContainerPort != 0 {
			return c.Ports[0].ContainerPort
		}
	}
	return servingv1.DefaultUserPort
}

func plural(n int32, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
