package autoscale

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/autoscaling"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"knative.dev/serving/pkg/autoscaler/config/autoscalerconfig"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const (
	// progressDeadline is how long a revision has to start, unless it says so.
	progressDeadline = 600 * time.Second
	// diagnosis is how much longer instances that do not start stay, so that what is
	// wrong with them can be seen.
	diagnosis = 30 * time.Second
)

// pods is how many a revision has, without those that are over.
type pods struct{ ready, others int }

func count(s *store.Store, at key) pods {
	var out pods
	for _, pod := range store.Labelled[*corev1.Pod](s, at.namespace, serving.RevisionLabelKey, at.name) {
		switch {
		case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
		case pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning && store.IsReady(pod):
			out.ready++
		default:
			out.others++
		}
	}
	return out
}

// reconcile brings the Deployment and the PodAutoscaler of a revision up to date.
func (a *Autoscaler) reconcile(at key, now time.Time) {
	for {
		pa, ok := store.Get[*autoscalingv1alpha1.PodAutoscaler](a.store, at.namespace, at.name)
		if !ok || pa.DeletionTimestamp != nil {
			delete(a.scalers, at)
			return
		}
		err := a.reconcileOnce(at, pa.DeepCopy(), now)
		switch {
		case apierrors.IsConflict(err): // somebody was faster: decide again
		case err != nil && !apierrors.IsNotFound(err):
			a.log.Warn("a revision is not scaled", "revision", at.namespace+"/"+at.name, "error", err)
			return
		default:
			return
		}
	}
}

func (a *Autoscaler) reconcileOnce(at key, pa *autoscalingv1alpha1.PodAutoscaler, now time.Time) error {
	deployment, _ := store.Get[*appsv1.Deployment](a.store, at.namespace, pa.Spec.ScaleTargetRef.Name)
	if deployment != nil && !sameOwner(pa, deployment) {
		deployment = nil
	}
	have := count(a.store, at)
	pa.Status.InitializeConditions()
	pa.Status.ServiceName = at.name
	pa.Status.MetricsServiceName = at.name + "-private"
	pa.Status.ObservedGeneration = pa.Generation

	if !isKPA(pa) {
		a.warnOfClass(pa)
	}
	s := a.scaler(at, pa)
	s.ready = have.ready
	want, apply := s.want(pa, a.config, now)
	if apply && deployment != nil && replicas(deployment) != want {
		next := deployment.DeepCopy()
		next.Spec.Replicas = &want
		stored, err := a.store.Update(next)
		if err != nil {
			return err
		}
		a.log.Info("scaled", "revision", at.namespace+"/"+at.name, "from", replicas(deployment), "to", want)
		deployment, _ = stored.(*appsv1.Deployment)
	}
	s.note(want, now)
	setStatus(pa, a.config, want, have.ready)
	if _, err := a.store.UpdateStatus(pa); err != nil {
		return err
	}
	if pa.Status.IsInactive() && have == (pods{}) && (deployment == nil || replicas(deployment) == 0) && s.desired <= 0 {
		delete(a.scalers, at)
	}
	return nil
}

// sameOwner reports whether both belong to the same revision: one of the same name may
// have taken the place of an earlier one since the first was read.
func sameOwner(a, b metav1.Object) bool {
	x, y := metav1.GetControllerOf(a), metav1.GetControllerOf(b)
	return x == nil || y == nil || x.UID == y.UID
}

// replicas are those a Deployment wants; as in Kubernetes, one if it does not say.
func replicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// note remembers whether requests would now go through Knative's activator.
func (s *scaler) note(want int32, now time.Time) {
	switch {
	case want > 0 && s.spare >= 0:
		s.behind = time.Time{}
	case s.behind.IsZero():
		s.behind = now
	}
}

// want is the scale that a revision is to have, and whether to write it already.
func (s *scaler) want(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config, now time.Time) (scale int32, apply bool) {
	if !isKPA(pa) {
		least, _ := pa.ScaleBounds(c)
		return max(least, 1), true // see warnOfClass
	}
	if s.desired < 0 && !pa.Status.IsActivating() {
		return s.desired, false
	}
	least, most := pa.ScaleBounds(c)
	if initial := initialScale(pa, c); initial > 1 && !pa.Status.IsScaleTargetInitialized() && s.spec.Reachable {
		least = max(initial, least)
	}
	scale = max(s.desired, least, 0)
	if most > 0 {
		scale = min(scale, most)
	}
	if scale > 0 {
		return scale, true
	}
	return s.wantZero(pa, c, now)
}

// wantZero delays the last step down: until a revision had its chance to start,
// has been idle for its window, and requests to it are sure to be held.
func (s *scaler) wantZero(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config, now time.Time) (scale int32, apply bool) {
	if !c.EnableScaleToZero {
		return 1, true
	}
	switch status := &pa.Status; {
	case status.IsActivating():
		deadline, ok := pa.ProgressDeadline()
		if !ok {
			deadline = progressDeadline
		}
		if status.CanFailActivation(now, deadline+diagnosis) {
			return 0, true
		}
		return unknown, false
	case status.IsActive():
		if status.ActiveFor(now) >= stableWindow(pa, c) {
			return 0, false // inactive from now on; its instances go in a second step
		}
		return 1, true
	default:
		idle, retention := status.InactiveFor(now), retention(pa, c)
		switch {
		case idle >= max(c.ScaleToZeroGracePeriod, retention):
			return 0, true
		case idle < retention:
			return 0, false
		default:
			return 0, !s.behind.IsZero() && now.Sub(s.behind) >= c.ScaleToZeroGracePeriod
		}
	}
}

// retention is how long the last instance stays at least.
func retention(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config) time.Duration {
	if pa.Spec.Reachability == autoscalingv1alpha1.ReachabilityUnreachable {
		return 0
	}
	if v, ok := pa.ScaleToZeroPodRetention(); ok {
		return v
	}
	return c.ScaleToZeroPodRetentionPeriod
}

// setStatus says what a revision wants and has, with Knative's reasons.
func setStatus(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config, want int32, ready int) {
	status, actual := &pa.Status, int32(ready)
	status.ActualScale = &actual
	if want >= 0 || status.DesiredScale == nil {
		status.DesiredScale = &want
	}
	if ready > 0 {
		status.MarkSKSReady()
	} else {
		status.MarkSKSNotReady("K8s Service is not ready")
	}
	threshold := activeThreshold(pa, c)
	if actual >= threshold {
		status.MarkScaleTargetInitialized()
	}
	const timedOut, quiet, noTraffic = "TimedOut", "NoTraffic", "The target is not receiving traffic."
	switch {
	case (want == 0 || threshold == 0) && status.IsActivating() && threshold > 0:
		status.MarkInactive(timedOut, "The target could not be activated.")
	case want <= 0 && status.IsInactive() && !status.IsScaleTargetInitialized() && status.GetCondition(autoscalingv1alpha1.PodAutoscalerConditionActive).Reason == timedOut:
		// That it has no traffic either is no news.
	case want == 0 || threshold == 0:
		status.MarkInactive(quiet, noTraffic)
	case want < 0 && status.IsInactive():
		status.MarkInactive(quiet, noTraffic)
	case actual < threshold:
		status.MarkActivating("Queued", "Requests to the target are being buffered as resources are provisioned.")
	default:
		status.MarkActive()
	}
}

// activeThreshold is how many instances make a revision active.
func activeThreshold(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config) int32 {
	least, _ := pa.ScaleBounds(c)
	if !pa.Status.IsScaleTargetInitialized() {
		return max(least, initialScale(pa, c))
	}
	return max(least, 1)
}

// isKPA reports whether Knative's own autoscaler is wanted, and not Kubernetes'.
func isKPA(pa *autoscalingv1alpha1.PodAutoscaler) bool { return pa.Class() == autoscaling.KPA }

// warnOfClass says, once for each revision, what becomes of one that wants
// another autoscaler.
func (a *Autoscaler) warnOfClass(pa *autoscalingv1alpha1.PodAutoscaler) {
	now := metav1.Now()
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: pa.Namespace, Name: pa.Name + ".autoscaler-class"},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: servingv1.SchemeGroupVersion.String(), Kind: "Revision", Namespace: pa.Namespace, Name: pa.Name,
		},
		Type: corev1.EventTypeWarning, Reason: "AutoscalerClassNotSupported",
		Message: fmt.Sprintf("there is no autoscaler %s here: the revision keeps as many instances as its min-scale says, and at least one", pa.Class()),
		Source:  corev1.EventSource{Component: "autoscaler"}, FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}
	if _, err := a.store.Create(event); err == nil {
		a.log.Warn(event.Message, "revision", pa.Namespace+"/"+pa.Name)
	}
}
