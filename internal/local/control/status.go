package control

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// conditioned is an object with Knative's kind of status.
type conditioned interface {
	store.Object
	GetStatus() *duckv1.Status
	GetConditionSet() apis.ConditionSet
}

// reconcile has sync work on a copy of the object that t names, and writes the
// status that comes out of it. An object that is being deleted is left alone.
func reconcile[T conditioned](c *Controller, t task, sync func(T) (time.Duration, error)) (time.Duration, error) {
	old, ok := store.Get[T](c.Store, t.namespace, t.name)
	if !ok || old.GetDeletionTimestamp() != nil {
		return 0, nil
	}
	next, ok := old.DeepCopyObject().(T)
	if !ok {
		return 0, nil
	}
	beginStatus(next)
	after, err := sync(next)
	if apierrors.IsConflict(err) {
		return 0, err
	}
	if err != nil {
		c.events.record(next, corev1.EventTypeWarning, "InternalError", "%v", err)
	}
	endStatus(next, old, c.Now())
	if writeErr := c.writeStatus(old, next); writeErr != nil {
		return 0, writeErr
	}
	return after, err
}

// beginStatus makes the conditions that are missing, and takes Ready back where
// the spec is a new one: who works on it says it anew.
func beginStatus(r conditioned) {
	set := r.GetConditionSet()
	conditions := set.Manage(r.GetStatus())
	conditions.InitializeConditions()
	if r.GetStatus().ObservedGeneration != r.GetGeneration() {
		conditions.MarkUnknown(set.GetTopLevelConditionType(), "NewObservedGenFailure", "unsuccessfully observed a new generation")
	}
}

// endStatus notes the generation, and the time of the conditions that changed.
func endStatus(r, old conditioned, now time.Time) {
	status := r.GetStatus()
	status.ObservedGeneration = r.GetGeneration()
	at := apis.VolatileTime{Inner: metav1.NewTime(now.Truncate(time.Second))}
	for i := range status.Conditions {
		condition := &status.Conditions[i]
		if before := old.GetStatus().GetCondition(condition.Type); before != nil {
			condition.LastTransitionTime = before.LastTransitionTime
			if *condition == *before {
				continue
			}
		}
		condition.LastTransitionTime = at
	}
}

// writeStatus writes next where it is anything new. An object that is gone needs
// no status.
func (c *Controller) writeStatus(old, next store.Object) error {
	if equality.Semantic.DeepEqual(old, next) {
		return nil
	}
	_, err := c.Store.UpdateStatus(next)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// create stores an object, and returns it as stored. A namespace that is being deleted
// takes nothing new, or it would never be empty.
func create[T store.Object](c *Controller, object T) (T, error) {
	var none T
	if namespace := object.GetNamespace(); !c.alive(namespace) {
		return none, apierrors.NewForbidden(c.Store.KindOf(object).GroupResource(), object.GetName(),
			fmt.Errorf("unable to create new content in namespace %s because it is being terminated", namespace))
	}
	stored, err := c.Store.Create(object)
	if err != nil {
		return none, err
	}
	return cast[T](stored), nil
}

// update writes all of an object but its status, and returns it as stored.
func update[T store.Object](c *Controller, object T) (T, error) {
	stored, err := c.Store.Update(object)
	if err != nil {
		var none T
		return none, err
	}
	return cast[T](stored), nil
}

// cast returns an object with the type that it went into the store with.
func cast[T store.Object](object runtime.Object) T {
	t, _ := object.(T)
	return t
}
